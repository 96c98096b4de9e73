"""`mdm serve|config|fsck`: running a server."""
