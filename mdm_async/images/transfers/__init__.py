"""Prepared transfers: requests, pins, transfer URLs, downloads and uploads."""
