"""What is doomed: images to destroy, blobs whose files are to be deleted. Their own rows are the work."""

from mdm_async.catalog.work.queue import Queue

IMAGES_TO_DESTROY = Queue(
    "images to destroy",
    "images",
    ("id",),
    ("uuid",),
    # Not while it is being read, unless it was shredded.
    only="doomed is not null and (in_use_until < now() or shredded)",
    since="doomed",
)
BLOBS_TO_DELETE = Queue(
    "blobs to delete", "blobs", ("id",), ("uuid",), only="state = 'doomed'", since="doomed"
)
