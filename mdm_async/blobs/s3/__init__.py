"""Blobs in a bucket, by S3's protocol."""
