"""Cohorts over HTTP: what is pinned, who is told what of it, who may pull it."""

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from mdm_async.catalog.holdings import images, shredding
from mdm_async.cohort_manifest import Manifest
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import TooLarge, WrongContent
from mdm_async.images.cohorts import choosing, comparing, making, showing
from mdm_async.images.upkeep.trees import remove_trees
from mdm_async.names import Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Connection
from tests.conftest import Reply, Server, running_server
from tests.web.made_images import made


@pytest.fixture(autouse=True)
async def _nobody_traverses_the_root_afterwards(server: Server) -> AsyncIterator[None]:
    yield
    left = [{"principal": "any:authenticated", "rights": "x"}]
    await server.srm("setPermission", surls=["/"], permissionType="REMOVE", rules=left, expect=None)


async def ask(server: Server, verb: str, token: str | None = None, expect: int = 200, **body: Any) -> Any:
    reply: Reply = await server.call(
        "POST", f"/cohorts/v1/{verb}", token=token or server.admin_token, json=body
    )
    assert reply.status == expect, reply.body
    return reply.tree if reply.body else None


async def manifest(server: Server, cohort: str, token: str | None = None) -> Manifest:
    shown = await ask(server, "show", token, surl=cohort)
    said, after = [], -1
    while after is not None:
        page = await ask(server, "members", token, surl=cohort, after=after)
        said += [one["file"] for one in page["members"]]
        after = page["after"]
    key = server.house.signing_key.public_key().public_bytes_raw()
    return Manifest.verified(shown["statement"], said, [key])


async def filled(server: Server, count: int = 3) -> tuple[str, list[str]]:
    """A directory with so many files: their GUIDs."""
    directory = await server.directory()
    lines = [
        await server.put(f"{directory}/{number}.dcm", made(pixels=2000, seed=number))
        for number in range(count)
    ]
    return directory, [str(line["guid"]) for line in lines]


async def acl(server: Server, path: str, *rules: dict[str, Any]) -> None:
    await server.srm("setPermission", surls=[path], permissionType="SET", rules=list(rules))


def rule(principal: str, rights: str, *views: str) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | ({"views": list(views)} if views else {})


async def own_attribute(server: Server, directory: str, entries: list[str]) -> None:
    """They carry `mine.quality`, which is 3."""
    for verb, body in (
        (
            "schemas/create",
            {"name": "mine", "surl": directory, "attributes": [{"name": "quality", "kind": "int"}]},
        ),
        ("set", {"surls": entries, "values": {"mine.quality": 3}}),
    ):
        reply = await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)
        assert reply.status < 300, reply.body


async def test_a_list_is_pinned_with_sizes_and_checksums_under_a_signed_digest(server: Server) -> None:
    directory, guids = await filled(server)
    files = [f"{directory}/{number}.dcm" for number in range(3)]
    signed = await ask(server, "create", expect=201, surl=f"{directory}/one", files=files)
    assert signed["members"] == 3
    found = await manifest(server, f"{directory}/one")
    assert found.statement.digest == signed["digest"]
    for path, guid, file in zip(files, guids, found.files, strict=True):
        content = await server.read(path)
        assert (file.guid, file.view, file.size) == (guid, "basic", len(content))
        assert file.adler32 == f"{zlib.adler32(content):08x}"
        assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert (await ask(server, "list", surl=directory))["cohorts"][0]["members"] == 3
    taken = await ask(server, "create", expect=409, surl=f"{directory}/one", files=files)
    assert "there already" in taken["detail"]


async def test_a_query_pins_what_its_caller_finds_and_the_same_is_asked_again(server: Server) -> None:
    directory, guids = await filled(server)
    query = 'Modality = "CT" and Rows >= 1'
    token = await server.token("wrlxg", directory, views=["basic"])
    await acl(server, f"{directory}/1.dcm", rule("user:nobody", "r"))
    body = {"surl": f"{directory}/q", "query": query, "view": "basic"}
    own = await server.token("", name=f"own{directory[2:]}")
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, directory, rule(f"user:own{directory[2:]}", "rlxgwd"))
    signed = await ask(server, "create", own, 201, **body)
    assert (signed["members"], signed["query"]) == (2, query)
    found = await manifest(server, f"{directory}/q", own)
    assert {file.guid for file in found.files} == {guids[0], guids[2]}
    shown = await ask(server, "show", own, surl=f"{directory}/q")
    assert (shown["query"], shown["path"], shown["states"]) == (query, directory, {"available": 2})
    again = await ask(server, "diff", own, surl=f"{directory}/q")
    assert again == {"added": [], "gone": [], "changed": [], "same": 2}
    late = str((await server.put(f"{directory}/9.dcm", made(pixels=2000, seed=9)))["guid"])
    await server.srm("rm", surls=[f"{directory}/2.dcm"])
    again = await ask(server, "diff", own, surl=f"{directory}/q")
    assert again == {"added": [late], "gone": [guids[2]], "changed": [], "same": 1}
    assert token


async def test_a_query_of_own_attributes_pins_only_what_may_be_read(server: Server) -> None:
    directory, guids = await filled(server)
    files = [f"{directory}/{number}.dcm" for number in range(3)]
    await own_attribute(server, directory, [*files, directory])
    name = f"reader{directory[2:]}"
    reader = await server.token("", name=name)
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, directory, rule(f"user:{name}", "rlxgw"))
    await acl(server, files[0], rule(f"user:{name}", "lg"))
    signed = await ask(server, "create", reader, 201, surl=f"{directory}/own", query="mine.quality >= 3")
    assert signed["members"] == 2
    assert {file.guid for file in (await manifest(server, f"{directory}/own", reader)).files} == set(
        guids[1:]
    )


async def test_nothing_is_no_cohort_and_leaves_none(server: Server) -> None:
    directory, _ = await filled(server, 1)
    told = await ask(
        server, "create", expect=400, surl=f"{directory}/none", query='Modality = "XX"', view="basic"
    )
    assert "nothing was selected" in told["detail"]
    wrong = await ask(server, "create", expect=400, surl=f"{directory}/none", query="Modality = = 1")
    assert wrong["detail"]
    await ask(server, "create", expect=400, surl=f"{directory}/none")
    assert (await ask(server, "list", surl=directory))["cohorts"] == []
    await ask(server, "create", expect=201, surl=f"{directory}/none", files=[f"{directory}/0.dcm"])


async def test_one_file_of_a_list_that_may_not_be_read_is_told_by_its_number(server: Server) -> None:
    directory, _ = await filled(server, 1)
    told = await ask(
        server,
        "create",
        expect=404,
        surl=f"{directory}/c",
        files=[f"{directory}/0.dcm", f"{directory}/none.dcm"],
    )
    assert told["detail"].startswith("number 2 of the list")
    assert "none.dcm" not in str(told)


async def test_whoever_may_not_read_a_member_is_told_its_digest_and_verifies_all(server: Server) -> None:
    directory, guids = await filled(server)
    files = [f"{directory}/{number}.dcm" for number in range(3)]
    name = f"reader{directory[2:]}"
    reader = await server.token("", name=name)
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, directory, rule(f"user:{name}", "rlxg"))
    await acl(server, files[1], rule("user:somebody", "r"))
    await ask(server, "create", expect=201, surl=f"{directory}/c", files=files)
    found = await manifest(server, f"{directory}/c", reader)
    assert [file.guid for file in found.files] == [guids[0], guids[2]]
    assert isinstance(found.members[1], bytes)
    page = await ask(server, "members", reader, surl=f"{directory}/c")
    assert page["members"][1] == {
        "number": 1, "state": "available", "path": None, "file": {"digest": found.members[1].hex()},
    }  # fmt: skip
    refused = await server.srm(
        "prepareToGet",
        token=reader,
        expect=None,
        files=[{"surl": f"guid:{guid}"} for guid in guids[:2]],
        cohort=f"{directory}/c",
    )
    assert [one["status"]["statusCode"] for one in refused["files"]] == [
        "SRM_FILE_PINNED",
        "SRM_INVALID_PATH",
    ]
    await ask(server, "delete", reader, 403, surl=f"{directory}/c")


async def test_the_directorys_rights_count_once_the_entry_has_gone(server: Server) -> None:
    directory, (guid,) = await filled(server, 1)
    file, cohorts = f"{directory}/0.dcm", await server.directory()
    content = await server.read(file)
    names = [f"{who}{directory[2:]}" for who in ("inside", "outside")]
    inside, outside = [await server.token("", name=name) for name in names]
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, file, rule(f"user:{names[1]}", "rlg"))
    await acl(server, directory, rule(f"user:{names[1]}", "xlg"))
    await acl(server, cohorts, rule(f"user:{names[0]}", "rxlg"), rule(f"user:{names[1]}", "xlg"))
    await ask(server, "create", expect=201, surl=f"{cohorts}/c", files=[file])

    async def may(token: str) -> dict[str, Any]:
        asked = {"files": [{"surl": f"guid:{guid}"}], "cohort": f"{cohorts}/c"}
        tree = await server.srm("prepareToGet", token=token, expect=None, **asked)
        line: dict[str, Any] = tree["files"][0]
        return line

    assert "transferURL" not in await may(inside)
    running = (await may(outside))["transferURL"]
    assert await server.get(running) == content
    await server.srm("rm", surls=[file])
    assert "transferURL" not in await may(outside)
    async with server.http.get(running) as over:
        assert over.status == 410
    server.cool()
    assert await server.get((await may(inside))["transferURL"]) == content


@pytest.mark.parametrize("removed", ["alone", "with its directory", "deep in a tree"])
async def test_a_right_that_was_withdrawn_does_not_come_back_when_the_entry_goes(
    server: Server, removed: str
) -> None:
    """Somebody who may read files, and has a directory of their own, makes a cohort of them there."""
    top, (gone, kept) = await filled(server, 2)
    files = [f"{top}/0.dcm", f"{top}/1.dcm"]
    if removed != "alone":
        await server.srm("mkdir", surl=f"{top}/b")
        for number, file in enumerate(files):
            await server.srm("mv", fromSURL=file, toSURL=f"{top}/b/{number}.dcm")
        files = [f"{top}/b/{number}.dcm" for number in range(2)]
    mine = await server.directory()
    name = f"reader{top[2:]}"
    reader, other = await server.token("", name=name), await server.token("", name=f"other{top[2:]}")
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, top, rule(f"user:{name}", "rlxg"))
    await acl(
        server,
        mine,
        rule(f"user:{name}", "rlxgwdp"),
        rule(f"user:other{top[2:]}", "rlxgi", "*", "identified"),
    )
    await ask(server, "create", reader, 201, surl=f"{mine}/c", files=files)

    async def given(token: str) -> list[str]:
        asked = {"files": [{"surl": f"guid:{guid}"} for guid in (gone, kept)], "cohort": f"{mine}/c"}
        tree = await server.srm("prepareToGet", token=token, expect=None, **asked)
        told = (await manifest(server, f"{mine}/c", token)).files
        found = [line["surl"][5:] for line in tree["files"] if "transferURL" in line]
        assert [one.guid for one in told] == found
        for line in tree["files"]:
            if "transferURL" in line:
                await server.get(line["transferURL"])
        return found

    assert await given(reader) == [gone, kept]
    await acl(server, files[0], rule("user:nobody", "r"))
    assert await given(reader) == [kept]
    if removed == "alone":
        await server.srm("rm", surls=files)
    else:
        await server.srm("rmdir", surl=f"{top}/b" if removed == "with its directory" else top, recursive=True)
        await remove_trees(server.house.database, "here")
        await remove_trees(server.house.database, "here")
    server.cool()
    assert await given(reader) == [kept]
    assert await given(other) == []
    async with server.house.database.transaction() as db:
        gone_ = "select count(*) from entries_gone where strpos(last ->> 'lfn', $1) = 1"
        assert await db.fetchval(gone_, f"{top}/") == 2
        held = await db.fetch("select image from cohort_members where guid = any($1::uuid[])", [gone, kept])
        await shredding.doom(db, [row["image"] for row in held])
        assert await db.fetchval(gone_, f"{top}/") == 0


async def test_the_identified_view_is_pinned_sealed_and_tells_its_query_only_to_who_may_read_it(
    server: Server, ct: bytes
) -> None:
    directory = await server.directory()
    guid = str((await server.put(f"{directory}/a.dcm", ct))["guid"])
    staff = await server.token("rwlxgi", directory, views=["basic", "identified"])
    signed = await ask(
        server, "create", staff, 201, surl=f"{directory}/i", files=[f"/@identified{directory}/a.dcm"]
    )
    assert signed["query"] is None
    (file,) = (await manifest(server, f"{directory}/i", staff)).files
    assert (file.view, file.size, file.sha256) == ("identified", len(ct), hashlib.sha256(ct).hexdigest())
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select m::text from cohort_members m join cohorts c on c.id = m.cohort")
        kept = await db.fetch("select c::text from cohorts c")
    assert not [row for row in (*rows, *kept) if file.adler32 in row[0] or (file.sha256 or "-") in row[0]]
    clear = await server.srm(
        "prepareToGet", token=staff, expect=None, files=[{"surl": f"guid:{guid}"}], cohort=f"{directory}/i"
    )
    assert clear["files"][0]["status"]["statusCode"] == "SRM_AUTHORIZATION_FAILURE"
    recipient = base64.b64encode(public_key(new_private_key())).decode()
    sealed = await server.srm(
        "prepareToGet",
        token=staff,
        files=[{"surl": f"guid:{guid}"}],
        cohort=f"{directory}/i",
        recipient=recipient,
    )
    assert sealed["files"][0]["plainSize"] == len(ct)
    reader = f"reader{directory[2:]}"
    token = await server.token("", name=reader)
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, directory, rule(f"user:{reader}", "rlxg"))
    assert (await manifest(server, f"{directory}/i", token)).files == []


async def test_a_query_of_what_identifies_is_told_to_those_alone_who_may_read_that(
    server: Server, ct: bytes
) -> None:
    directory = await server.directory()
    guid = str((await server.put(f"{directory}/a.dcm", ct))["guid"])
    staff = await server.token("rwlxgi", directory, views=["basic", "identified"])
    # A query of one's own attributes, where the default view is the identified one.
    async with server.house.database.acquire() as db:
        await db.execute("update entries set default_view = 'identified' where name = $1", directory[1:])
    await own_attribute(server, directory, [f"{directory}/a.dcm"])
    query = "mine.quality >= 3 and mine.quality <= 170141183460"
    signed = await ask(server, "create", staff, 201, surl=f"{directory}/i", query=query)
    assert (signed["members"], signed["query"]) == (1, None)
    assert (await ask(server, "show", staff, surl=f"{directory}/i"))["query"] == query
    assert (await ask(server, "diff", staff, surl=f"{directory}/i"))["same"] == 1
    (file,) = (await manifest(server, f"{directory}/i", staff)).files
    assert (file.guid, file.size) == (guid, len(ct))
    reader = f"reader{directory[2:]}"
    token = await server.token("", name=reader)
    await acl(server, "/", rule("any:authenticated", "x"))
    await acl(server, directory, rule(f"user:{reader}", "rlxg"))
    told = await ask(server, "show", token, surl=f"{directory}/i")
    assert "170141183460" not in str(told)
    assert told["query"] is None
    await ask(server, "diff", token, 403, surl=f"{directory}/i")
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select c::text from cohorts c union all select details::text from audit")
    assert not [row for row in rows if "170141183460" in row[0]]


async def test_originals_are_selected_by_what_they_say(server: Server, ct: bytes) -> None:
    directory = await server.directory()
    guid = str((await server.put(f"{directory}/a.dcm", ct))["guid"])
    await server.put(f"{directory}/b.dcm", made())
    staff = await server.token("rwlxgi", directory, views=["basic", "identified"])
    reader = await server.token("rwlxg", directory)
    body = {"surl": f"{directory}/o", "query": 'PatientID = "1CT1"', "view": "identified"}
    assert "nothing was selected" in (await ask(server, "create", reader, 400, **body))["detail"]
    signed = await ask(server, "create", staff, 201, **body)
    assert (signed["members"], signed["query"]) == (1, None)
    (file,) = (await manifest(server, f"{directory}/o", staff)).files
    assert (file.guid, file.view, file.size) == (guid, "identified", len(ct))
    assert (await ask(server, "diff", staff, surl=f"{directory}/o"))["same"] == 1
    told = await ask(server, "show", reader, surl=f"{directory}/o")
    assert "1CT1" not in str(told)
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select c::text from cohorts c union all select details::text from audit")
        read = await db.fetchval("select count(*) from audit where act = 'find' and guid = $1", UUID(guid))
    assert not [row for row in rows if row[0] is not None and "1CT1" in row[0]]
    assert read > 0


async def test_a_cohort_whose_directory_goes_while_it_is_made_is_told_so(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "PAGE", 1)
    directory, _ = await filled(server, 2)
    target, pin, pinned = await server.directory(), making._Making.pin, 0

    async def removed_between(self: making._Making, page: Any) -> None:
        nonlocal pinned
        await pin(self, page)
        pinned += 1
        if pinned == 1:
            await server.srm("rmdir", surl=target, recursive=True)
            await server.house.sweeper.sweep()

    monkeypatch.setattr(making._Making, "pin", removed_between)
    files = [f"{directory}/{number}.dcm" for number in range(2)]
    told = await ask(server, "create", expect=404, surl=f"{target}/c", files=files)
    assert told["detail"] == "the cohort's directory has just been removed"


async def test_a_view_that_is_made_anew_while_a_cohort_is_made_is_not_pinned(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, (guid,) = await filled(server, 1)
    files = making._Making._files

    async def remade_meanwhile(self: making._Making, page: Any) -> Any:
        found = await files(self, page)
        async with server.house.database.transaction() as db:
            image = await db.fetchval("select image from entries where guid = $1", UUID(guid))
            await db.execute("delete from view_attributes where image = $1", image)
            await db.execute("update views set version = 'x.9' where image = $1 and name = 'basic'", image)
        return found

    monkeypatch.setattr(making._Making, "_files", remade_meanwhile)
    told = await ask(server, "create", expect=409, surl=f"{directory}/c", files=[f"{directory}/0.dcm"])
    assert "make it again" in str(told)


async def test_what_is_removed_while_a_cohort_is_made_is_no_member(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, _ = await filled(server, 2)
    files = making._Making._files

    async def removed_meanwhile(self: making._Making, page: Any) -> Any:
        found = await files(self, page)
        await server.srm("rm", surls=[f"{directory}/1.dcm"])
        return found

    monkeypatch.setattr(making._Making, "_files", removed_meanwhile)
    told = await ask(server, "create", expect=409, surl=f"{directory}/c", query="Rows >= 1")
    assert "make it again" in str(told)
    monkeypatch.undo()
    assert (await ask(server, "create", expect=201, surl=f"{directory}/c", query="Rows >= 1"))["members"] == 1


async def test_what_is_compared_with_a_cohort_is_bounded(server: Server) -> None:
    directory, _ = await filled(server, 2)
    await ask(server, "create", expect=201, surl=f"{directory}/c", query="Rows >= 1")
    for seed in (7, 8):
        await server.put(f"{directory}/{seed}.dcm", made(pixels=2000, seed=seed))
    house = server.house
    own = replace(house.cohorts, limits=house.settings.limits.model_copy(update={"cohort_members": 3}))
    everybody = Caller("user:x", frozenset({"user:x"}), (Scope(Lfn(directory), frozenset(Right)),))
    with pytest.raises(TooLarge, match="more than the 3 files"):
        await comparing.compare(own, everybody, f"{directory}/c")


async def test_many_members_come_in_pages_and_in_their_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "TOLD", 2)
    monkeypatch.setattr(showing, "LISTED", 1)
    directory, guids = await filled(server, 5)
    files = [f"{directory}/{number}.dcm" for number in range(5)]
    for name in ("a", "b"):
        await ask(server, "create", expect=201, surl=f"{directory}/{name}", files=files)
    assert [file.guid for file in (await manifest(server, f"{directory}/a")).files] == guids
    first = await ask(server, "list", surl=directory)
    then = await ask(server, "list", surl=directory, cursor=first["cursor"])
    assert [one["name"] for one in first["cohorts"] + then["cohorts"]] == ["a", "b"]


async def test_files_too_many_to_be_read_have_no_sha256(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_HASHED", 0)
    directory, _ = await filled(server, 1)
    await ask(server, "create", expect=201, surl=f"{directory}/c", files=[f"{directory}/0.dcm"])
    (file,) = (await manifest(server, f"{directory}/c")).files
    assert file.sha256 is None


async def test_a_view_that_goes_while_it_is_pinned_leaves_no_cohort_and_no_pin(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, _ = await filled(server, 1)
    keep = images.keep

    async def made_anew(db: Connection, some: Collection[UUID]) -> set[UUID]:
        await db.execute("delete from views where image = any($1::uuid[]) and name = 'basic'", list(some))
        return await keep(db, some)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(images, "keep", made_anew)
        told = await ask(server, "create", expect=409, surl=f"{directory}/c", files=[f"{directory}/0.dcm"])
    assert "while the cohort was made" in told["detail"]
    await server.house.sweeper.sweep()
    async with server.house.database.acquire() as db:
        assert not await db.fetchval("select exists (select from cohorts where members is null)")
    await ask(server, "create", expect=201, surl=f"{directory}/c", files=[f"{directory}/0.dcm"])


async def test_cohorts_are_bounded(postgres: Any, migrated: str, tmp_path: Any) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, limits={"cohorts": 1, "cohort_members": 2}) as server:
        directory, _ = await filled(server)
        files = [f"{directory}/{number}.dcm" for number in range(3)]
        await ask(server, "create", expect=413, surl=f"{directory}/a", files=files)
        await server.house.sweeper.sweep()
        await ask(server, "create", expect=201, surl=f"{directory}/a", files=files[:2])
        await ask(server, "create", expect=507, surl=f"{directory}/b", files=files[:2])


async def test_a_changed_manifest_is_found_out(server: Server) -> None:
    directory, _ = await filled(server, 2)
    files = [f"{directory}/{number}.dcm" for number in range(2)]
    await ask(server, "create", expect=201, surl=f"{directory}/c", files=files)
    text = (await manifest(server, f"{directory}/c")).text()
    key = server.house.signing_key.public_key().public_bytes_raw()
    assert Manifest.parse(text, [key]).text() == text
    size = f'"size": {len(await server.read(files[0]))}'
    for changed in (
        text.replace(size, '"size": 7', 1),
        text.replace('"members": 2', '"members": 3'),
        text.replace('"by": "', '"by": "not '),
        text.replace('"guid"', '"digest"', 1),
        text[:-20],
        "{}",
        "[]",
    ):
        assert changed != text
        with pytest.raises(WrongContent):
            Manifest.parse(changed, None)
    with pytest.raises(WrongContent, match="none of those given"):
        Manifest.parse(text, [bytes(32)])
