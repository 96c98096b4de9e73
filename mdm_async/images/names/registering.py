"""Names without bytes: files that are known to be elsewhere, as a PACS knows them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.holdings import sources
from mdm_async.catalog.metadata import blind
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.catalog.namespace import entries
from mdm_async.catalog.namespace.bindings import Bind
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadPath, Exists, MdmError, NotFound
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.fresh_secrets import FreshSecrets
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.images.surls import resolve
from mdm_async.keys.derive import BlindIndex
from mdm_async.keys.store import IDENTITY, KeyStore, Secrets
from mdm_async.names import Caller, Surl, split
from mdm_async.postgres.database import Connection, Database

_PAGE = 500


Describe = Callable[[UUID, Secrets], Awaitable[SealedOriginal | None]]


async def _nothing(_image: UUID, _secrets: Secrets) -> None:
    """Nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A name, and where the bytes would come from. `describe`: what its source says of it, sealed."""

    surl: str
    source: PacsSource
    describe: Describe = _nothing


async def register(
    database: Database,
    keys: KeyStore,
    blind: BlindIndex,
    bind: Bind,
    caller: Caller,
    wanted: Sequence[Registration],
) -> list[tuple[str, UUID | MdmError]]:
    """Give names to images that are not here: NEARLINE files, each with its GUID. It needs `w` as an upload does.

    One that fails fails no other: Exists when the name is taken, NotFound when its directory is not there.
    """
    results: list[tuple[str, UUID | MdmError]] = []
    for start in range(0, len(wanted), _PAGE):
        page = wanted[start : start + _PAGE]
        made = await _register_page(database, keys, blind, bind, caller, page)
        results += [(one.surl, guid) for one, guid in zip(page, made, strict=True)]
    return results


async def _register_page(
    database: Database,
    keys: KeyStore,
    blind: BlindIndex,
    bind: Bind,
    caller: Caller,
    page: Sequence[Registration],
) -> list[UUID | MdmError]:
    answers: dict[int, UUID | MdmError] = {}
    async with database.acquire() as db:
        for item, found in enumerate(await resolve(db, caller, [one.surl for one in page])):
            try:
                _free_place(caller, found)
            except MdmError as why:
                answers[item] = why
    images = {item: uuid4() for item in range(len(page)) if item not in answers}
    if not images:
        return [answers[item] for item in range(len(page))]
    async with FreshSecrets(database, keys) as fresh:
        secrets = {item: fresh.of(image) for item, image in images.items()}
        said = {item: await page[item].describe(image, secrets[item]) for item, image in images.items()}
        await fresh.announce()
        async with database.transaction() as db:
            await fresh.be_named(db)
            again = await resolve(db, caller, [page[item].surl for item in images])
            for (item, image), found in zip(images.items(), again, strict=True):
                try:
                    place = _free_place(caller, found)
                    answers[item] = await _name(
                        db, place, image, secrets[item], page[item].source, blind, bind, said[item]
                    )
                except MdmError as why:
                    answers[item] = why
            named = {item: guid for item, guid in answers.items() if isinstance(guid, UUID)}
            await acts.record(db, [Act(caller, "register", guid=guid) for guid in named.values()])
        fresh.keep([images[item] for item in named])
    return [answers[item] for item in range(len(page))]


def _free_place(caller: Caller, found: tuple[Surl, Place] | MdmError) -> Place:
    """Where the caller may make a file. Raises what is in the way."""
    if isinstance(found, MdmError):
        raise found
    surl, place = found
    if surl.view is not None or surl.guid is not None:
        raise BadPath("a file is registered without naming a view or a GUID", remedy="name it by its path")
    acl.demand_create(caller, place)
    if place.entry is not None:
        raise Exists()
    if place.parent is None:
        raise NotFound("the directory does not exist", remedy="make it first: mdm mkdir -p")
    return place


async def _name(
    db: Connection,
    place: Place,
    image: UUID,
    secrets: Secrets,
    source: PacsSource,
    finder: BlindIndex,
    bind: Bind,
    said: SealedOriginal | None,
) -> UUID:
    assert place.parent is not None
    id_ = uuid4()
    sealed = pacs_source.seal(source, secrets.of(IDENTITY), image, id_)
    # What is begun for a name that somebody else takes meanwhile is undone.
    async with db.transaction():
        digests = pacs_source.digests(source, finder)
        await sources.register(db, image, secrets.registration, id_, sealed, source.pacs, digests)
        # Before it has a name: whether a rejection note hides it is asked then.
        if said is not None:
            await blind.put(db, said)
        guid = await entries.add_file(db, place.parent.id, split(place.lfn)[1], image, bind=bind)
        if guid is None:
            raise Exists()
    return guid
