"""Destroying images for good, and saying so under a signature."""
