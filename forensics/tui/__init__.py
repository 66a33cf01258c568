"""The full-screen front door; the only home of Textual."""
