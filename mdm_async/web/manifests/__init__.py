"""Manifests of studies, for receivers at other enterprises."""
