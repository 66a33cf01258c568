"""What a case keeps: its claim, its journal and its custody log, hash-chained."""
