"""Trees to remove: directories that were cut off from the root with all below them (`cut_trees.cut_off`)."""

from mdm_async.catalog.work.queue import Queue

TREES_TO_REMOVE = Queue("trees to remove", "trees_to_remove", ("directory",), ("bigint",))
