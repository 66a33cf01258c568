"""The post-mortem: one frozen model, rendered as Markdown and as one HTML file."""
