"""Whose instances are retrieved: by the right to read the view, through any entry that gives it, and not otherwise."""

import hashlib
from typing import Any

import pytest

from mdm_async.images.studies import searching
from tests.conftest import Reply, Server
from tests.web.dicomweb.conftest import Viewer, image, uid
from tests.web.dicomweb.test_retrieve import ANY_DICOM, address, instances, parts_of

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"


@pytest.fixture
async def two(server: Server) -> tuple[str, str, dict[str, Any]]:
    """One image under two names, in two folders; and what is told of it."""
    first, second = await server.directory(), await server.directory()
    name = first[2:]
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)
    data = image(
        seed,
        StudyInstanceUID=f"1.2.{seed}",
        SeriesInstanceUID=f"1.2.{seed}.1",
        SOPInstanceUID=f"1.2.{seed}.1.1",
    )
    for folder in (first, second):
        await server.put(f"{folder}/it.dcm", data)
    (told,) = await instances(Viewer(server, server.admin_token), f"path={first}")
    return first, second, told


@pytest.fixture(params=["one by one", "in one statement"])
def judged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two ways to ask what a caller may know of, of what an index gives."""
    if request.param == "in one statement":
        monkeypatch.setattr(searching, "_FEW", -1)
        monkeypatch.setattr(searching, "_SEEN", 0)


async def status(viewer: Viewer, where: str, **headers: str) -> int:
    return int((await viewer.get(where, **headers)).status)


@pytest.mark.usefixtures("judged")
async def test_any_entry_that_gives_the_right_will_do(
    server: Server, two: tuple[str, str, dict[str, Any]]
) -> None:
    first, second, told = two
    where = address(told)
    bodies = set()
    for folder in (first, second):
        viewer = Viewer(server, await server.token("r", path=folder))
        reply = await viewer.get(where)
        assert reply.status == 200
        bodies.add(reply.body)
        # A folder that is named is to be seen, as everywhere.
        seeing = Viewer(server, await server.token("rg", path=folder))
        for path in (folder, f"{folder}/it.dcm"):
            assert await status(viewer, f"{where}?path={path}") == 404
            assert await status(seeing, f"{where}?path={path}") == 200
        assert len(parts_of(await viewer.get(where.partition("/series")[0], Accept=ANY_DICOM))) == 1
    assert len(bodies) == 1
    admin = Viewer(server, server.admin_token)
    (one,) = (await admin.get(f"/instances?SOPInstanceUID={uid(told, INSTANCE)}")).tree
    assert uid(one, INSTANCE) == uid(told, INSTANCE)
    (study,) = (await admin.get(f"/studies?StudyInstanceUID={uid(told, STUDY)}")).tree
    assert uid(study, "00201208") == "1"


@pytest.mark.usefixtures("judged")
async def test_hidden_and_missing_are_told_alike(
    server: Server, two: tuple[str, str, dict[str, Any]]
) -> None:
    _, second, told = two
    stranger = Viewer(server, await server.token("rg", path="/", name=None, views=["none-such"]))
    outsider = Viewer(server, await server.token("lxg", path=second))
    free = {tag: told[tag] | {"Value": ["2.25.1"]} for tag in (STUDY, SERIES, INSTANCE)}
    for viewer in (stranger, outsider):
        for end in ("", "/metadata", "/frames/1", "/bulkdata/7FE00010"):
            replies: list[Reply] = [await viewer.get(address(one) + end) for one in (told, free)]
            assert [reply.status for reply in replies] == [404, 404]
            hidden, missing = (
                {name: value for name, value in reply.tree.items() if name != "requestId"}
                for reply in replies
            )
            assert hidden == missing


@pytest.mark.usefixtures("judged")
async def test_scopes_give_what_they_name_and_no_more(
    server: Server, two: tuple[str, str, dict[str, Any]]
) -> None:
    first, second, told = two
    for path in (first, f"{first}/it.dcm", "/"):
        for letters, views, found, retrieved in (
            ("rg", None, 1, 200), ("rg", ["basic"], 1, 200), ("r", None, 0, 200), ("g", None, 0, 404),
            ("rg", ["identified"], 0, 404), ("lg", None, 0, 404),
        ):  # fmt: skip
            viewer = Viewer(server, await server.token(letters, path=path, views=views))
            said = (path, letters, views)
            reply = await viewer.get(f"/studies?StudyInstanceUID={uid(told, STUDY)}")
            assert [uid(one, "00201208") for one in reply.tree] == ["1"] * found, said
            assert await status(viewer, address(told)) == retrieved, said
    viewer = Viewer(server, await server.token("rg", path=second))
    assert (await viewer.get(f"/studies?StudyInstanceUID={uid(told, STUDY)}&path={first}")).status == 404


async def test_other_views_have_other_uids(server: Server, two: tuple[str, str, dict[str, Any]]) -> None:
    _, _, told = two
    identified = Viewer(server, server.admin_token, "/dicom-web/@identified")
    assert await status(identified, address(told)) == 404


async def test_what_is_removed_is_gone(server: Server, two: tuple[str, str, dict[str, Any]]) -> None:
    first, second, told = two
    viewer = Viewer(server, server.admin_token)
    await server.srm("rm", surls=[f"{first}/it.dcm"])
    assert await status(viewer, address(told)) == 200
    await server.srm("rm", surls=[f"{second}/it.dcm"])
    for end in ("", "/metadata", "/frames/1"):
        assert await status(viewer, address(told) + end) == 404


async def test_what_leaves_sealed_only_is_not_told_here(
    server: Server, two: tuple[str, str, dict[str, Any]]
) -> None:
    first, _, _ = two
    token = await server.token("rgi", views=["identified", "basic"], path=first)
    originals = Viewer(server, token, "/dicom-web/@identified")
    (one,) = (await originals.get(f"/instances?path={first}&includefield=all")).tree
    for end in ("", "/metadata", "/frames/1", "/bulkdata/7FE00010"):
        reply = await originals.get(f"{address(one)}{end}?path={first}")
        assert reply.status == 403, reply.body
        assert b"sealed" in reply.body


async def test_nothing_is_told_over_a_channel_that_anyone_hears(
    server: Server, two: tuple[str, str, dict[str, Any]]
) -> None:
    viewer = Viewer(server, server.admin_token)
    for path in ("/studies", address(two[2]), address(two[2]) + "/metadata"):
        reply = await viewer.get(path, Host="mdm.example.org")
        assert reply.status == 403
        assert reply.tree["type"] == "urn:mdm:error:insecure-channel"


async def test_a_read_is_in_the_audit(server: Server, two: tuple[str, str, dict[str, Any]]) -> None:
    viewer = Viewer(server, server.admin_token)
    for end in ("", "/metadata", "/frames/1"):
        async with server.house.database.acquire() as db:
            before = await db.fetchval("select coalesce(max(id), 0) from audit")
        server.cool()
        server.house.reads._begun.clear()
        assert await status(viewer, address(two[2]) + end) == 200
        async with server.house.database.acquire() as db:
            acts = [
                row["act"]
                for row in await db.fetch(
                    "select act from audit where id > $1 and (act = 'open' or (act, outcome) = ('read', 'begun'))"
                    " order by id",
                    before,
                )
            ]
        assert acts[:2] == ["open", "read"], end


@pytest.mark.usefixtures("judged")
async def test_a_macaroon_gives_what_is_below_its_path(
    server: Server, two: tuple[str, str, dict[str, Any]]
) -> None:
    first, second, told = two
    answer = await server.call(
        "POST",
        f"/dav{first}",
        token=server.admin_token,
        headers={"Content-Type": "application/macaroon-request"},
        data=b'{"caveats": ["activity:LIST,DOWNLOAD,READ_METADATA"]}',
    )
    assert answer.status == 200, answer.body
    viewer = Viewer(server, answer.tree["macaroon"])
    (one,) = (await viewer.get("/instances")).tree
    assert uid(one, INSTANCE) == uid(told, INSTANCE)
    assert await status(viewer, address(told)) == 200
    assert await status(viewer, f"{address(told)}?path={second}") == 404


async def test_uids_in_urls_are_uids(server: Server) -> None:
    viewer = Viewer(server, server.admin_token)
    for wrong in ("x", "1.2*", "%00", "1" * 65, "1.2%2F3"):
        assert await status(viewer, f"/studies/{wrong}/metadata") in (400, 404)
    assert await status(viewer, "/studies/1.2/instances/1.3") == 404


@pytest.mark.parametrize("letters", ["rig", "ri"])
async def test_originals_are_retrieved_by_the_rights_to_read_and_to_identify(
    server: Server, two: tuple[str, str, dict[str, Any]], letters: str
) -> None:
    first, _, _ = two
    seeing = Viewer(server, await server.token("rig", path=first, views=["identified"]), BASE_OF_ORIGINALS)
    (one,) = (await seeing.get("/instances")).tree
    answer = await server.call(
        "PUT", "/admin/v1/delivery", token=server.admin_token, json={"surl": first, "identified": "clear"}
    )
    assert answer.status == 200, answer.body
    viewer = Viewer(server, await server.token(letters, path=first, views=["identified"]), BASE_OF_ORIGINALS)
    assert [uid(each, INSTANCE) for each in (await viewer.get("/instances")).tree] == (
        [uid(one, INSTANCE)] if "g" in letters else []
    )
    for end in ("", "/metadata", "/frames/1"):
        assert await status(viewer, address(one) + end) == 200
    reader = Viewer(server, await server.token("rg", path=first, views=["identified"]), BASE_OF_ORIGINALS)
    assert await status(reader, address(one)) == 404


BASE_OF_ORIGINALS = "/dicom-web/@identified"


async def test_a_folder_that_shows_originals_by_default_says_where_they_are_told(
    own_server: Server,
) -> None:
    await own_server.srm("mkdir", surl="/clinic")
    await own_server.put("/clinic/1.dcm", image(1))
    viewer = Viewer(own_server, own_server.admin_token)
    for path in ("/clinic", "/"):
        reply = await viewer.get(f"/instances?path={path}")
        assert len(reply.tree) == 1
        assert "Warning" not in reply.headers
    async with own_server.house.database.acquire() as db:
        await db.execute("update entries set default_view = 'identified' where name = 'clinic'")
    for asked in ("/instances?path=/clinic", "/studies?path=/clinic&PatientID=nobody"):
        reply = await viewer.get(asked)
        assert reply.tree == []
        assert "/dicom-web/@identified" in reply.headers["Warning"]
    for base in ("/dicom-web/@basic", "/dicom-web/@identified"):
        reply = await Viewer(own_server, own_server.admin_token, base).get("/instances?path=/clinic")
        assert "Warning" not in reply.headers
