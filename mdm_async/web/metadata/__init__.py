"""Metadata over JSON, under /meta/v1."""
