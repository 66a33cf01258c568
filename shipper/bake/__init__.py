"""What an image gets: the program, its unit, its default configuration."""
