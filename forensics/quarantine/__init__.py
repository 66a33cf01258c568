"""Sets a faulty instance aside instead of destroying it: a journalled plan, not a script."""
