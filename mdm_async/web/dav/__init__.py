"""WebDAV (RFC 4918): the namespace at /dav/, and at /dav/@<view>/ that view of it."""
