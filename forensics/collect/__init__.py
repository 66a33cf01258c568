"""The centre's front door: a `_bulk` endpoint over the embedded store."""
