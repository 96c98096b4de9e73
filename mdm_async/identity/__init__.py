"""Who is calling: credentials in, principals out."""
