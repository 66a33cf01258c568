"""Where records are kept: one protocol, an embedded SQLite file and an OpenSearch behind it."""
