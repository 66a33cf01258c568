"""Reads inputs as files with offsets: today, tailed files."""
