"""Which databases share an installation's secrets: written down in the catalog's database, and in each of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.errors import UnsafeSettings
from mdm_async.keys.row_cipher import StoreIdentity
from mdm_async.postgres.database import Connection

_ARE_WHOLE = (
    "select exists (select from mdm_keys.image_secrets) or exists (select from mdm_keys.project_keys)"
)


async def are_enrolled(db: Connection) -> bool:
    """Whether secrets of the installation whose catalog this is are shared among stores."""
    return bool(await db.fetchval("select exists (select from mdm_keys.sharing where begun)"))


async def demand_whole(db: Connection) -> None:
    """In the catalog's database, where whole secrets are to lie."""
    if await are_enrolled(db):
        raise UnsafeSettings(
            "this installation's secrets are shared among key stores, and the settings name none",
            remedy="name them in keys.stores",
        )


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the catalog's database says of the stores. No `threshold`: none may hold anything yet."""

    installation: UUID
    threshold: int | None
    stores: Mapping[str, StoreIdentity]


async def enrolled(
    db: Connection, installation: UUID, names: Sequence[str], threshold: int
) -> Enrolled | None:
    """In the catalog's database, changing nothing; None when it has not been one yet.

    Raises UnsafeSettings, as `enrol`, when these stores cannot be those that hold this installation's secrets.
    """
    if await db.fetchval("select to_regclass('mdm_keys.sharing') is null"):
        return None
    known = await db.fetchval("select threshold from mdm_keys.sharing where begun")
    if known is None:
        if await db.fetchval(_ARE_WHOLE):
            raise _whole()
        return Enrolled(installation, None, {})
    rows = await db.fetch("select name, id, share from mdm_keys.stores")
    demand_same_sharing(known, [row["name"] for row in rows], threshold, names)
    return Enrolled(
        installation,
        known,
        {row["name"]: StoreIdentity(row["id"], row["share"], installation) for row in rows},
    )


def demand_same_sharing(threshold: int, stores: Collection[str], given: int, names: Collection[str]) -> None:
    """The settings' threshold and names against those that secrets were shared with. Raises UnsafeSettings."""
    if threshold != given:
        raise UnsafeSettings(
            f"keys.threshold is {given}, and this installation's secrets were shared so that {threshold} stores "
            "read them",
            remedy=f"set keys.threshold = {threshold}",
        )
    if lost := sorted(set(stores) - set(names)):
        raise UnsafeSettings(
            f"keys.stores lack {', '.join(lost)}, which hold shares of every secret",
            remedy="name them again; a store that is away stays in the settings",
        )


def _whole() -> UnsafeSettings:
    return UnsafeSettings(
        "this installation's secrets lie whole in the catalog's database, and are not moved to keys.stores",
        remedy="set no keys.stores; or begin a new installation with them",
    )


async def enrol(
    db: Connection, names: Sequence[str], threshold: int, installation: UUID
) -> dict[str, StoreIdentity]:
    """The stores' identities by name, in a transaction of the catalog's database; new ones get theirs.

    Raises UnsafeSettings when these stores cannot be those that hold this installation's secrets.
    """
    await db.execute("lock table mdm_keys.sharing in share row exclusive mode")
    known = await db.fetchval("select threshold from mdm_keys.sharing where begun")
    if known is None:
        if await db.fetchval(_ARE_WHOLE):
            raise _whole()
        await db.execute(
            "insert into mdm_keys.sharing (threshold) values ($1)"
            " on conflict (singleton) do update set threshold = excluded.threshold",
            threshold,
        )
        await db.execute("delete from mdm_keys.stores where name <> all($1::text[])", names)
    there = await db.fetch("select name from mdm_keys.stores")
    demand_same_sharing(known or threshold, [row["name"] for row in there], threshold, names)
    await db.execute(
        "insert into mdm_keys.stores (name, share)"
        " select name, (select coalesce(max(share), 0) from mdm_keys.stores) + row_number() over (order by place)"
        " from unnest($1::text[]) with ordinality as given (name, place)"
        " where not exists (select from mdm_keys.stores s where s.name = given.name)",
        names,
    )
    rows = await db.fetch("select name, id, share from mdm_keys.stores")
    return {row["name"]: StoreIdentity(row["id"], row["share"], installation) for row in rows}


async def begin(db: Connection) -> None:
    """From now on secrets may be shared among the stores that were enrolled."""
    await db.execute("update mdm_keys.sharing set begun = true where not begun")


async def begun_stores(db: Connection) -> set[str]:
    """In the catalog's database: the stores that may hold shares of secrets."""
    rows = await db.fetch(
        "select name from mdm_keys.stores where exists (select from mdm_keys.sharing where begun)"
    )
    return {row["name"] for row in rows}


async def demand_this_store(
    db: Connection, name: str, wanted: StoreIdentity, all_stores: Mapping[str, StoreIdentity]
) -> None:
    """In a transaction of the store's database, which becomes this store's if it was nobody's."""
    await demand_no_catalog(db, name)
    demand_identity(name, await claimed(db, wanted), wanted, all_stores)


async def demand_no_catalog(db: Connection, name: str) -> None:
    """In a store's database, which has its tables. Raises UnsafeSettings."""
    if await db.fetchval("select exists (select from mdm_keys.sharing)"):
        raise UnsafeSettings(
            f"the database of key store {name} is a catalog's, which would hold a share beside what it opens",
            remedy="give every store a database of its own",
        )


def demand_identity(
    name: str, found: StoreIdentity, wanted: StoreIdentity, all_stores: Mapping[str, StoreIdentity]
) -> None:
    """What a database says that it is. Raises UnsafeSettings."""
    if found == wanted:
        return
    if found.installation != wanted.installation:
        raise UnsafeSettings(
            f"the database of key store {name} belongs to another installation",
            remedy="check the store's dsn; a new store begins with an empty database",
        )
    if found.share == 0:
        raise UnsafeSettings(
            f"the database of key store {name} holds whole secrets: it is a catalog's",
            remedy="give every store a database of its own",
        )
    same = next((other for other, identity in all_stores.items() if identity.id == found.id), None)
    raise UnsafeSettings(
        f"the database of key store {name} is that of {same or 'a store which is not of this installation'} "
        f"(share {found.share}), or a copy of it; it should hold share {wanted.share}",
        remedy="give every store the dsn of its own database",
    )


async def claimed(db: Connection, wanted: StoreIdentity) -> StoreIdentity:
    """The identity of this database, which is the wanted one if it had none yet."""
    await db.execute(
        "insert into mdm_keys.store (id, share, installation) values ($1, $2, $3) on conflict do nothing",
        wanted.id,
        wanted.share,
        wanted.installation,
    )
    row = await db.fetchrow("select id, share, installation from mdm_keys.store")
    assert row is not None
    return StoreIdentity(**row)
