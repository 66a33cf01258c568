"""What stored records prove: which bytes of a file are there, and which are not."""
