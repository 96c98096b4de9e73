"""`mdm serve|config|fsck|status`: running a server."""
