"""The log shipper that is baked into every server image; standard library alone."""

__version__ = "0.1.0"
