"""COPY within the namespace: another name for what its maker may read, and for no more."""

from typing import Any

import asyncpg
import pytest

from mdm_async.images.names.copying import Copier
from mdm_async.images.names.revealing import NameGuard
from mdm_async.postgres.database import Connection
from tests.conftest import Server
from tests.web.dav.face import Dav
from tests.web.made_images import made

ONE, OTHER = made(), made(pixels=70_000)


async def with_rights(dav: Dav, rights: str, views: list[str] | None = None) -> Dav:
    return dav.by(await dav.server.token(rights, dav.at, views=views))


async def test_a_copy_gives_the_one_view_that_was_copied(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    writer = await with_rights(dav, "rwlx")
    assert (await writer.call("COPY", "a.dcm", Destination=dav.path("b.dcm"))).status == 201
    assert (await dav.call("GET", "b.dcm")).body == (await dav.call("GET", "a.dcm")).body
    admin_rights = await with_rights(dav, "rwlxi", ["identified"])
    assert (await admin_rights.call("GET", f"/@identified{dav.at}/b.dcm")).status in (403, 404)


async def test_who_may_see_identities_copies_the_whole_by_its_name(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    identified, copied = f"/@identified{dav.at}/a.dcm", {"Destination": dav.path("b.dcm")}
    assert (await (await with_rights(dav, "rwlx")).call("COPY", identified, **copied)).status == 403
    seer = await with_rights(dav, "rwlxi", ["identified", "basic"])
    assert (await seer.call("COPY", identified, **copied)).status == 201
    whole = await dav.server.srm("ls", surls=[f"/@identified{dav.at}/b.dcm"], token=seer.token)
    assert whole["files"][0]["size"] == len(ONE)
    assert (await dav.call("GET", "b.dcm")).body == (await dav.call("GET", "a.dcm")).body


async def test_what_cannot_be_read_is_not_copied(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    writer = await with_rights(dav, "wlx")
    answer = await writer.call("COPY", "a.dcm", Destination=dav.path("b.dcm"))
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert await dav.names() == ["a.dcm"]


async def test_a_directory_is_copied_with_all_in_it_or_alone(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.call("MKCOL", "d/e")
    for name in ("d/a.dcm", "d/e/b.dcm"):
        await dav.puts(name, ONE)
    assert (await dav.call("COPY", "d/", Destination=dav.path("c/"))).status == 201
    assert (await dav.names("c"), await dav.names("c/e")) == (["a.dcm", "e/"], ["b.dcm"])
    assert (await dav.call("COPY", "d/", Destination=dav.path("f/"), Depth="0")).status == 201
    assert await dav.names("f") == []
    assert (await dav.call("GET", "c/e/b.dcm")).body == (await dav.call("GET", "d/e/b.dcm")).body


async def test_one_file_that_cannot_be_read_keeps_the_directory_from_being_copied(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", ONE)
    writer = await with_rights(dav, "wlx")
    assert (await writer.call("COPY", "d", Destination=dav.path("c"))).status == 403
    assert await dav.names() == ["d/"]


async def test_what_has_the_name_is_replaced_or_stays(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    await dav.puts("b.dcm", OTHER)
    a, b = [(await dav.call("GET", name)).body for name in ("a.dcm", "b.dcm")]
    assert (await dav.call("COPY", "a.dcm", Destination=dav.path("b.dcm"), Overwrite="F")).status == 412
    assert (await dav.call("GET", "b.dcm")).body == b
    assert (await dav.call("COPY", "a.dcm", Destination=dav.path("b.dcm"))).status == 204
    assert (await dav.call("GET", "b.dcm")).body == a
    keeper = await with_rights(dav, "rwlx")
    assert (await keeper.call("COPY", "a.dcm", Destination=dav.path("b.dcm"))).status == 403


async def test_nothing_is_copied_onto_or_into_itself(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", ONE)
    for source, target in (("d", "d"), ("d", "d/e"), ("d/a.dcm", "d")):
        assert (await dav.call("COPY", source, Destination=dav.path(target))).status == 403
    assert (await dav.call("COPY", "d/a.dcm", Destination=dav.path("no/a.dcm"))).status == 409


async def test_more_than_may_be_copied_at_once_is_refused_whole(dav: Dav, monkeypatch) -> None:
    monkeypatch.setattr("mdm_async.images.names.copying.MOST", 3)
    await dav.call("MKCOL", "d")
    for i in range(3):
        await dav.call("MKCOL", f"d/{i}")
    assert (await dav.call("COPY", "d", Destination=dav.path("c"))).status == 413
    assert await dav.names() == ["d/"]


async def test_what_leaves_sealed_only_leaves_its_copy_so_too(own_server: Server) -> None:
    dav = Dav(own_server, await own_server.directory(), own_server.admin_token)
    await dav.call("MKCOL", "sealed")
    body = {"surl": f"{dav.at}/sealed", "deidentified": "sealed"}
    answer = await own_server.call("PUT", "/admin/v1/delivery", token=dav.token, json=body)
    assert answer.status == 200, answer.body
    await own_server.put(f"{dav.at}/sealed/a.dcm", ONE)
    assert (await dav.call("COPY", "sealed/a.dcm", Destination=dav.path("b.dcm"))).status == 201
    assert (await dav.call("GET", "b.dcm")).status == 403


async def test_an_opaque_file_is_copied_to_where_such_files_are_taken_alone(dav: Dav) -> None:
    server, asked = dav.server, {"surl": dav.at, "opaque": "yes"}
    assert (await server.call("PUT", "/admin/v1/intake", token=dav.token, json=asked)).status == 200
    clinic = await server.directory()
    await dav.puts("notes", b"of the night")
    assert (await dav.call("COPY", "notes", Destination=dav.path("again"))).status == 201
    assert (await dav.call("GET", "again")).body == b"of the night"
    assert (await dav.call("COPY", "notes", Destination=f"/dav{clinic}/notes")).status == 403
    assert (await server.call("GET", f"/dav{clinic}/notes", token=dav.token)).status == 404


async def test_a_copys_name_does_not_tell_who_its_patient_is(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", made(name="Feldhaus^Wilhelmine"))
    for source, target in (("d/a.dcm", "feldhaus.dcm"), ("d", "feldhaus")):
        assert (await dav.call("COPY", source, Destination=dav.path(target))).status == 400
    assert await dav.names() == ["d/"]


async def test_what_is_overwritten_while_its_new_name_is_looked_at_is_not_copied(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dav.puts("a.dcm", ONE)

    async def later(*_: Any) -> None:
        await dav.puts("a.dcm", OTHER)

    monkeypatch.setattr(NameGuard, "demand_silent", later)
    assert (await dav.call("COPY", "a.dcm", Destination=dav.path("b.dcm"))).status == 409
    assert await dav.names() == ["a.dcm"]


async def test_many_entries_are_copied_in_few_statements(dav: Dav, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that gives or takes names waits meanwhile."""
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", ONE)
    asked: list[str] = []
    async with dav.server.house.database.acquire() as db:
        await db.execute(
            "insert into entries (parent, name, image, is_directory) select parent, 'x' || n, image, false"
            " from entries, generate_series(1, 40) n where parent = (select max(parent) from entries)"
        )
    make = Copier._make

    async def counted(self: Copier, db: Connection, *about: Any) -> None:
        def count(record: asyncpg.connection.LoggedQuery) -> None:
            asked.append(record.query)

        db.add_query_logger(count)
        try:
            await make(self, db, *about)
        finally:
            db.remove_query_logger(count)

    monkeypatch.setattr(Copier, "_make", counted)
    assert (await dav.call("COPY", "d", Destination=dav.path("e"))).status == 201
    assert len(await dav.names("e")) == 41
    assert 0 < len(asked) < 30
