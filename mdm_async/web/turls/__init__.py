"""Transfer URLs: the bytes themselves."""
