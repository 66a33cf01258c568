"""How to see whether an effect is there, and how to bring it about: `table.py` lists them all."""
