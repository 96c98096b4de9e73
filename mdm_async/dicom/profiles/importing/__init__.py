"""Rules of other programs, read into profiles; what has no counterpart there is listed, never dropped."""
