"""Values to forget: attributes of collections that are no more, until no entry carries a value of theirs."""

from mdm_async.catalog.work.queue import Queue
from mdm_async.postgres.database import Connection

VALUES_TO_FORGET = Queue("values to forget", "values_to_forget", ("attribute",), ("bigint",))


async def forget_page(db: Connection, attribute: int, count: int) -> bool:
    """Some values of an attribute; whether there may be more."""
    status = await db.execute(
        "with page as materialized (select entry from own_values where attribute = $1 and text is not null"
        "  union all select entry from own_values where attribute = $1 and number is not null limit $2)"
        " delete from own_values v using page where v.entry = page.entry and v.attribute = $1",
        attribute,
        count,
    )
    return status != "DELETE 0"
