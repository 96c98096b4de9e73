"""The GA4GH Crypt4GH format, version 1: segments, headers, key files, streams. Pure: no I/O."""
