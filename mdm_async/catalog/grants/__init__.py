"""Grants: request items, pins and transfer URLs in one table."""
