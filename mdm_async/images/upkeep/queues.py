"""The queues of work of an installation: taken up when a node starts, and how they stand."""

from mdm_async.catalog.metadata.sets import SETS_TO_CHECK
from mdm_async.catalog.work import directories_to_check, images_to_index
from mdm_async.catalog.work.cohorts_to_remove import COHORTS_TO_REMOVE
from mdm_async.catalog.work.directories_to_check import DIRECTORIES_TO_CHECK
from mdm_async.catalog.work.doomed import BLOBS_TO_DELETE, IMAGES_TO_DESTROY
from mdm_async.catalog.work.images_to_index import IMAGES_TO_INDEX
from mdm_async.catalog.work.images_to_stage import IMAGES_TO_STAGE
from mdm_async.catalog.work.keys_to_forget import KEYS_TO_FORGET
from mdm_async.catalog.work.queue import Queue
from mdm_async.catalog.work.reports_to_send import REPORTS_TO_SEND
from mdm_async.catalog.work.shreds import SHREDS
from mdm_async.catalog.work.superseded_keys import SUPERSEDED_KEYS
from mdm_async.catalog.work.trees_to_remove import TREES_TO_REMOVE
from mdm_async.catalog.work.values_to_forget import VALUES_TO_FORGET
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE
from mdm_async.dicom.indexed import REVISION
from mdm_async.images.reading.served import ServedViews
from mdm_async.postgres.database import Database

QUEUES: tuple[Queue, ...] = (
    DIRECTORIES_TO_CHECK,
    VIEWS_TO_MAKE,
    IMAGES_TO_INDEX,
    IMAGES_TO_STAGE,
    TREES_TO_REMOVE,
    COHORTS_TO_REMOVE,
    IMAGES_TO_DESTROY,
    SUPERSEDED_KEYS,
    KEYS_TO_FORGET,
    SETS_TO_CHECK,
    BLOBS_TO_DELETE,
    VALUES_TO_FORGET,
    SHREDS,
    REPORTS_TO_SEND,
)


async def begin_work(database: Database, served: ServedViews, node: str) -> None:
    """Before a node works: nothing is its own yet; everything is checked if it makes views by newer rules, and indexed
    if it has a newer table of attributes.
    """
    async with database.transaction() as db:
        await directories_to_check.check_all_by_newer_rules(db, served.basic)
        await images_to_index.begin(db, REVISION)
        for queue in QUEUES:
            await queue.give_back(db, node)
