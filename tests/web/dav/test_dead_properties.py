"""Properties that clients keep with entries: sealed, bounded, and no way to tell who a patient is."""

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest

from mdm_async.catalog.namespace import dead_properties
from mdm_async.images.budget import Held
from mdm_async.images.names.revealing import NameGuard
from mdm_async.postgres.database import Connection
from mdm_async.web.dav import propfind
from tests.images.test_opaque import take_opaque
from tests.web.dav.face import Dav
from tests.web.dav.test_locks import PROPERTY, status
from tests.web.made_images import made


def update(text: str, name: str = "note") -> bytes:
    return (
        f'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><{name} xmlns="urn:x">{text}</{name}></D:prop></D:set>'
        "</D:propertyupdate>"
    ).encode()


async def told(dav: Dav, name: str) -> str | None:
    (found,) = (await dav.propfind(name, "0")).values()
    return "".join(found.known["note"].itertext()) if "note" in found.known else None


async def test_it_is_told_again_goes_with_its_entry_and_is_copied(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    assert await status(dav, "PROPPATCH", "a.dcm", PROPERTY) == 207
    assert await told(dav, "a.dcm") == "of the night"
    await dav.call("MOVE", "a.dcm", Destination=dav.path("b.dcm"))
    await dav.call("COPY", "b.dcm", Destination=dav.path("c.dcm"))
    assert await told(dav, "b.dcm") == await told(dav, "c.dcm") == "of the night"
    gone = PROPERTY.replace(b"D:set", b"D:remove")
    assert await status(dav, "PROPPATCH", "b.dcm", gone) == 207
    assert (await told(dav, "b.dcm"), await told(dav, "c.dcm")) == (None, "of the night")
    async with dav.server.house.database.acquire() as db:
        kept = await db.fetch("select sealed from dead_properties")
    assert kept
    assert all(b"night" not in row["sealed"] for row in kept)


async def test_what_only_the_server_sets_is_let_be_and_all_else_with_it(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    both = update("x").replace(b"<note", b"<D:getetag>1</D:getetag><note")
    answer = await dav.call("PROPPATCH", "a.dcm", both)
    assert b"403" in answer.body
    assert b"424" in answer.body
    assert await told(dav, "a.dcm") is None


async def test_a_files_properties_do_not_tell_who_its_patient_is(dav: Dav) -> None:
    await dav.puts("a.dcm", made(name="Feldhaus^Wilhelmine"))
    assert await status(dav, "PROPPATCH", "a.dcm", update("scan of Wilhelmine Feldhaus")) == 400
    assert await status(dav, "PROPPATCH", "a.dcm", update("x", "feldhaus")) == 400
    by_namespace = update("x").replace(b"urn:x", b"urn:feldhaus:wilhelmine")
    assert await status(dav, "PROPPATCH", "a.dcm", by_namespace) == 400
    assert await told(dav, "a.dcm") is None


async def test_many_guesses_in_one_property_are_few_in_an_hour(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too large to be kept is not compared; what is new counts, and what was said is free."""
    await dav.puts("a.dcm", made(name="Feldhaus^Wilhelmine"))
    assert await status(dav, "PROPPATCH", "a.dcm", update("x" * 17_000 + " Wilhelmine Feldhaus")) == 507
    monkeypatch.setattr(dav.server.house.guesses, "limited", True)
    letters = ["".join(random.Random(n).choices("abcdefghijklm", k=10_000)) for n in range(3)]
    answers = [await status(dav, "PROPPATCH", "a.dcm", update(text)) for text in letters]
    assert answers == [207, 207, 403]
    assert await status(dav, "PROPPATCH", "a.dcm", update(letters[0])) == 207
    assert await status(dav, "PROPPATCH", "a.dcm", update("of the night")) == 207


async def test_it_takes_the_right_to_set_metadata(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    reader = dav.by(await dav.server.token("rlxg", path=dav.at))
    assert await status(reader, "PROPPATCH", "a.dcm", PROPERTY) == 403


async def test_they_are_bounded_for_each_entry(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    assert await status(dav, "PROPPATCH", "d", update("x" * 17_000)) == 507
    assert await status(dav, "PROPPATCH", "d", update("x" * 15_000)) == 207
    assert await status(dav, "PROPPATCH", "d", update("y" * 15_000, "other")) == 507


async def test_changes_at_once_lose_none(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    sent = [dav.call("PROPPATCH", "d", update("x", f"p{n}")) for n in range(8)]
    assert {answer.status for answer in await asyncio.gather(*sent)} == {207}
    (found,) = (await dav.propfind("d", "0")).values()
    assert {f"p{n}" for n in range(8)} <= found.known.keys()


async def test_those_of_what_was_opaque_do_not_stay_with_the_image_that_takes_its_place(dav: Dav) -> None:
    await take_opaque(dav.server, dav.at)
    await dav.puts("a", b"text")
    await dav.call("PROPPATCH", "a", update("scan of Wilhelmine Feldhaus"))
    await dav.puts("a", b"another text")
    assert await told(dav, "a") == "scan of Wilhelmine Feldhaus"
    await dav.puts("a", made(name="Feldhaus^Wilhelmine"))
    assert await told(dav, "a") is None


async def test_what_is_removed_meanwhile_gets_none(dav: Dav, monkeypatch: pytest.MonkeyPatch) -> None:
    await dav.puts("a.dcm", made())
    before = dead_properties.locked

    async def later(db: Connection, entry: int, image: UUID | None) -> bytes | None:
        assert await status(dav, "DELETE", "a.dcm") == 204
        return await before(db, entry, image)

    monkeypatch.setattr(dead_properties, "locked", later)
    assert await status(dav, "PROPPATCH", "a.dcm", PROPERTY) == 404


@pytest.mark.parametrize(
    "property_",
    [
        '<n xmlns="urn:Feldhaus"/>',
        '<n xmlns="urn:x">Feld<b/>haus</n>',
        '<n xmlns="urn:x"><b c="feldhaus"/></n>',
        '<n xmlns="urn:x"><b xmlns="urn:feldhaus"/></n>',
        '<n xmlns="urn:x">Feld&#104;aus</n>',
        '<n xmlns="urn:x"><![CDATA[Feldhaus]]></n>',
    ],
)
async def test_nor_by_any_other_way_to_write_them(dav: Dav, property_: str) -> None:
    await dav.puts("a.dcm", made(name="Feldhaus^Wilhelmine"))
    sent = update("x").replace(b'<note xmlns="urn:x">x</note>', property_.encode())
    assert property_.encode() in sent
    assert await status(dav, "PROPPATCH", "a.dcm", sent) == 400


async def test_nor_of_a_file_that_takes_the_place_of_another_while_they_are_looked_at(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dav.puts("a.dcm", made())
    silent = NameGuard.demand_texts_silent

    async def slow(*given: Any) -> Any:
        unknown = await silent(*given)
        await dav.puts("a.dcm", made(name="Feldhaus^Wilhelmine", seed=1))
        return unknown

    monkeypatch.setattr(NameGuard, "demand_texts_silent", slow)
    assert await status(dav, "PROPPATCH", "a.dcm", update("Feldhaus")) != 207
    assert await told(dav, "a.dcm") is None


async def test_no_name_of_a_property_spoils_the_listing_of_its_directory(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    names = (
        "xml:note",
        "note xmlns='a&quot; b=&quot;'",
        "note xmlns='&lt;&amp;&gt;'",
        "note xmlns=''",
        "D:é",
    )
    for name in names:
        tag = name.split()[0]
        sent = update("&lt;&#13;]]&gt;").decode().replace('<note xmlns="urn:x"', f"<{name}")
        assert await status(dav, "PROPPATCH", "d", sent.replace("</note>", f"</{tag}>").encode()) == 207
        wanted = f'<D:propfind xmlns:D="DAV:"><D:prop><{name}/></D:prop></D:propfind>'
        for body in (None, wanted.encode()):
            assert len(await dav.propfind("", "1", body)) == 2


async def test_whoever_is_not_told_of_them_copies_none(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    await dav.call("PROPPATCH", "a.dcm", PROPERTY)
    await dav.call("MKCOL", "mine")
    token = await dav.server.token("", name="reads-alone")
    for at, rights in ((dav.at, "rx"), (f"{dav.at}/mine", "rwxlg")):
        rules = [{"principal": "user:reads-alone", "rights": rights}]
        await dav.server.srm("setPermission", surls=[at], permissionType="ADD", rules=rules)
    root = [rules[0] | {"rights": "x"}]
    await dav.server.srm("setPermission", surls=["/"], permissionType="ADD", rules=root)
    try:
        reader = dav.by(token)
        assert (await reader.call("PROPFIND", "a.dcm", Depth="0")).status == 404
        assert await status(reader, "COPY", "a.dcm", Destination=dav.path("mine/b.dcm")) == 201
        assert await told(dav, "mine/b.dcm") is None
    finally:  # Directories that other tests make on this server begin with what the root gives.
        await dav.server.srm("setPermission", surls=["/"], permissionType="REMOVE", rules=root)


async def test_a_listing_holds_memory_for_them(dav: Dav, monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[int] = []
    for name in ("a", "b"):
        await dav.call("MKCOL", name)
        await dav.call("PROPPATCH", name, update("x" * 15_000))
    monkeypatch.setattr(Held, "grow_to", lambda _held, size: grown.append(size))
    assert len(await dav.propfind("", "1")) == 3
    assert grown
    assert grown[-1] >= (1 << 20) + 2 * 3 * 15_000


async def test_a_listing_holds_memory_for_those_of_later_pages_too(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown: list[int] = []
    for name in ("a", "b"):
        await dav.call("MKCOL", name)
    await dav.call("PROPPATCH", "b", update("x" * 15_000))
    monkeypatch.setattr(propfind, "_PAGE", 1)
    monkeypatch.setattr(Held, "grow_to", lambda _held, size: grown.append(size))
    assert len(await dav.propfind("", "1")) == 3
    assert max(grown) >= (1 << 20) + 3 * 15_000
