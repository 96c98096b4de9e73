"""Processes that handle foreign bytes, and have nothing: no environment, no file, no network, no other process.

Linux. What the kernel does not have is left out, and told.
"""
