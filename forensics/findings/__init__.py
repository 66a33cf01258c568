"""Findings: pure functions from what was seen of an instance to what most likely ended it."""
