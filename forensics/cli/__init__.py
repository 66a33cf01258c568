"""The command-line front door: data on stdout, narration on stderr, meaningful exit codes."""
