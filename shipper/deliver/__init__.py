"""Delivers bulk bodies until every item has an answer."""
