"""Manifests: which instances of a study may be retrieved, and where. Pure."""
