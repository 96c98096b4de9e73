"""Metadata over JSON, under /catalog/v1/metadata."""
