"""Data for the centre: index templates and Dashboards objects, read through importlib.resources."""
