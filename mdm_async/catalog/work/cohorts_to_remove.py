"""Cohorts to remove: they were deleted, or their directory was; what they pinned is let go of a page at a time."""

from mdm_async.catalog.work.queue import Queue

COHORTS_TO_REMOVE = Queue("cohorts to remove", "cohorts_to_remove", ("cohort",), ("bigint",))
