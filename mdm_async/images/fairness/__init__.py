"""What many callers want at once, divided so that none of them can take it from the others."""
