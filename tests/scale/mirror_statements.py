"""Those of mirrors: what is noted of changes, what is sent, and what is done to a directory that follows."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from mdm_async.catalog.mirrors import applying, changes, followed, had, mirrors, read_only, states
from mdm_async.catalog.mirrors.applying import Acls
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.namespace import entries
from mdm_async.catalog.namespace.entries import NewFile
from mdm_async.keys.derive import EntryBindings
from tests.scale.million import guid, image
from tests.scale.statements import DIRECTORY, FILE, OWNER, Desk, budget

_NAME = "site-b"
_DEEP = "/deep"
BIND = EntryBindings(bytes(32)).of


async def _mirror(desk: Desk) -> mirrors.Mirror:
    top = await desk.entry(_DEEP)
    await mirrors.add(desk.db, _NAME, top.id, top.guid, "https://b.example.org", b"sealed", 1, OWNER)
    found = await mirrors.get(desk.db, _NAME)
    assert found is not None
    return found


@budget(3_000)
async def what_changes_in_a_mirrored_directory_is_noted_and_sent(desk: Desk) -> None:
    mirror = await _mirror(desk)
    directory = await desk.entry(DIRECTORY)
    added = await entries.add_files(
        desk.db, directory.id, [NewFile(f"new{n:03}", image(FILE), None, None) for n in range(100)]
    )
    guids = list(added.values())
    noted = await changes.page(desk.db, _NAME, 256, shreds=False)
    assert len(noted) == 101
    found = await states.of_guids(desk.db, mirror.directory, guids)
    assert len(found) > 100
    assert len(await states.of_page(desk.db, directory.guid, "", 100)) == 100
    await had.add_entries(desk.db, _NAME, guids)
    assert len(await had.entries(desk.db, _NAME, guids)) == 100
    await had.remove_entries(desk.db, _NAME, guids)
    await had.add_image(desk.db, _NAME, image(FILE))
    await had.add_profile(desk.db, _NAME, "basic", "it has another")
    await changes.note_profile(desk.db, _NAME, "basic")
    assert await had.profiles(desk.db, _NAME) == {"basic": "it has another"}
    await changes.put_off(desk.db, noted[:50], "TooLarge")
    assert await changes.hasten(desk.db, _NAME, "TooLarge")
    await changes.done(desk.db, noted)
    assert len(await changes.page(desk.db, _NAME, 256, shreds=False)) == 1


@budget(600)
async def how_far_mirrors_are_is_known(desk: Desk) -> None:
    mirror = await _mirror(desk)
    for _ in range(2):
        await changes.note(desk.db, _NAME, "entry", [guid(n) for n in range(100)], since=mirror.added)
    assert (await changes.lag(desk.db, _NAME)).waiting == 101
    await changes.complete(desk.db, _NAME)
    assert await mirrors.is_followed(desk.db, _NAME)
    await mirrors.distrust(desk.db, "node", 5)
    await mirrors.heard(desk.db, mirror, "node", 1)
    await mirrors.failed(desk.db, mirror, None)
    await mirrors.acts_to_tell(desk.db, mirror, 100)
    await mirrors.told(desk.db, mirror, 1)
    assert await mirrors.fence(desk.db, mirror)
    assert len(await mirrors.listing(desk.db)) == 1
    await mirrors.stop(desk.db, mirror)
    while await mirrors.forget_page(desk.db, _NAME, 1000):
        pass


def _said(guid_: UUID, name: str) -> State:
    return State(guid_, None, name, None, *[None] * 8, *_TIMES, [], None, [])


_NONE = Acls(None, None)
_TIMES = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


@budget(600)
async def a_directory_is_made_what_another_site_says(desk: Desk) -> None:
    top, directory = await desk.entry(_DEEP), await desk.entry(DIRECTORY)
    await followed.add(desk.db, _NAME, top.id, "credential", OWNER)
    assert await read_only.barred(desk.db, [top.id, directory.id])
    assert await followed.shown(desk.db, "credential") is not None
    here = await followed.keep(desk.db, _NAME, 1)
    await followed.bind(desk.db, _NAME, uuid4(), bytes(32))
    await followed.count(desk.db, _NAME, 1, 1)
    await followed.note_heard(desk.db, _NAME, None)
    await applying.set_top(desk.db, top.id, _said(top.guid, top.name), _NONE, BIND)
    (new,) = [uuid4()]
    await applying.place(desk.db, top.id, directory.guid, _said(new, "new"), _NONE, image(FILE), BIND)
    await applying.place(desk.db, top.id, directory.guid, _said(new, f"f{FILE:07}"), _NONE, image(FILE), BIND)
    await applying.place(desk.db, top.id, top.guid, _said(directory.guid, directory.name), _NONE, None, BIND)
    assert await applying.image_at(desk.db, top.id, new) == image(FILE)
    await applying.views_at(desk.db, directory.guid)
    await applying.hide(desk.db, (await desk.entry(f"{DIRECTORY}/f{FILE:07}")).id, image(FILE), 113001, [])
    await applying.release(desk.db, image(FILE), [("basic", 3)], OWNER)
    assert await applying.remove(desk.db, top.id, [new]) == [image(FILE)]
    await followed.add_image(desk.db, _NAME, image(1), image(FILE))
    assert await followed.image_of(desk.db, _NAME, image(1)) == image(FILE)
    assert await followed.images_of(desk.db, _NAME, [image(1)]) == [image(FILE)]
    await followed.demand_kept(desk.db, _NAME, image(1))
    assert await followed.shred(desk.db, _NAME, 1, [image(1)]) == [image(FILE)]
    upload = uuid4()
    await followed.expect(desk.db, upload, _NAME, b"secret", {})
    assert await followed.expected(desk.db, _NAME, upload) is not None
    assert await followed.came(desk.db, upload)
    await followed.note_key(desk.db, "p", _NAME)
    assert await followed.has_images(desk.db)
    assert len(await followed.listing(desk.db)) == 1
    assert await followed.promote(desk.db, here) == 2
    assert (await followed.get(desk.db, _NAME)) is not None
