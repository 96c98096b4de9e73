"""A directory that lives at two sites: what the first sends, what the second takes, and who stands in for whom."""
