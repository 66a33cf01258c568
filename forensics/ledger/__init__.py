"""One row per instance id that anything has ever mentioned, and what happened to each."""
