"""A database server of our own, below a directory of our own."""
