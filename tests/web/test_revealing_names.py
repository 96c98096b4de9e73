"""Names that tell who a patient is, given to images that are stored already: refused as at upload."""

from typing import Any

import pytest

from mdm_async.images.names.revealing import NameGuard
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.dav.face import Dav
from tests.web.dav.test_dead_properties import update
from tests.web.made_images import BLOB, INLINE, made

NAME = "Feldmann^Elisabeth"
KINDS = [{"pixels": INLINE}, {"pixels": None, "head": BLOB}, {"pixels": INLINE, "deflated": True}]


async def _put(server: Server, surl: str, **kind: Any) -> Any:
    return await server.put(surl, made(name=NAME, **kind))


async def _mv(server: Server, source: str, target: str) -> str:
    tree = await server.srm("mv", expect=None, fromSURL=source, toSURL=target)
    code: str = tree["returnStatus"]["statusCode"]
    assert "eldmann" not in str(tree).replace(target, "")
    return code


@pytest.mark.parametrize("kind", KINDS, ids=["inline", "blob", "deflated"])
async def test_a_file_is_not_renamed_so(server: Server, kind: dict[str, Any]) -> None:
    folder = await server.directory()
    await _put(server, f"{folder}/a.dcm", **kind)
    assert await _mv(server, f"{folder}/a.dcm", f"{folder}/feldmann-2.dcm") == "SRM_INVALID_REQUEST"
    assert await _mv(server, f"{folder}/a.dcm", f"{folder}/b.dcm") == "SRM_SUCCESS"


async def test_nor_moved_into_a_directory_that_reveals(server: Server) -> None:
    folder = await server.directory()
    await _put(server, f"{folder}/a.dcm")
    await server.srm("mkdir", surl=f"{folder}/Feldmann_E")
    assert await _mv(server, f"{folder}/a.dcm", f"{folder}/Feldmann_E") == "SRM_INVALID_REQUEST"
    assert await _mv(server, f"{folder}/a.dcm", f"{folder}/Feldmann_E/a.dcm") == "SRM_INVALID_REQUEST"
    assert (await server.srm("ls", surls=[f"{folder}/a.dcm"]))["files"][0]["path"]


async def test_nor_a_directory_above(server: Server) -> None:
    folder = await server.directory()
    await server.srm("mkdir", surl=f"{folder}/s/t/elis", parents=True)
    await _put(server, f"{folder}/s/t/elis/a.dcm")
    assert await _mv(server, f"{folder}/s", f"{folder}/Feldmann") == "SRM_INVALID_REQUEST"
    # By what the whole path says, of which each part alone says nothing.
    assert await _mv(server, f"{folder}/s/t/elis", f"{folder}/s/t/elisa") == "SRM_SUCCESS"
    assert await _mv(server, f"{folder}/s/t/elisa", f"{folder}/s/t/elisa/beth") != "SRM_SUCCESS"
    assert await _mv(server, f"{folder}/s", f"{folder}/u") == "SRM_SUCCESS"


async def test_nor_under_an_upload_that_has_no_name_yet(server: Server) -> None:
    folder = await server.directory()
    await server.srm("mkdir", surl=f"{folder}/s")
    tree = await server.srm("prepareToPut", files=[{"surl": f"{folder}/s/a.dcm"}])
    assert (await server.call("PUT", tree["files"][0]["transferURL"], data=made(name=NAME))).status == 201
    assert await _mv(server, f"{folder}/s", f"{folder}/Feldmann") == "SRM_SUCCESS"
    asked = {"requestToken": tree["requestToken"], "surls": [f"{folder}/s/a.dcm"]}
    done = await server.srm("putDone", expect=400, **asked)
    assert done["files"][0]["status"]["statusCode"] == "SRM_INVALID_REQUEST"
    assert await _mv(server, f"{folder}/Feldmann", f"{folder}/t") == "SRM_SUCCESS"
    await server.srm("putDone", **asked)
    assert await server.read(f"{folder}/t/a.dcm")


async def test_what_is_far_below_is_not_looked_at_and_that_is_said(
    postgres: PostgresForTests, migrated: str, tmp_path: Any
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, naming={"looked_at": 1}) as server:
        await server.srm("mkdir", surl="/s/t", parents=True)
        await _put(server, "/s/t/a.dcm")
        assert await _mv(server, "/s", "/Feldmann") == "SRM_SUCCESS"
        await _put(server, "/b.dcm")
        assert await _mv(server, "/b.dcm", "/feldmann.dcm") == "SRM_INVALID_REQUEST"
        async with server.house.database.acquire() as db:
            assert await db.fetchval("select details ->> 'names' from audit where act = 'mv'")


async def test_a_try_is_in_the_audit(own_server: Server) -> None:
    """With the file that it was tried on, whichever way."""
    server = own_server
    await server.srm("mkdir", surl="/d")
    guid = (await _put(server, "/d/a.dcm"))["guid"]
    token = await server.token("pdrwlxgs")
    dav = Dav(server, "/d", token)
    for surls in (
        {"fromSURL": "/d/a.dcm", "toSURL": "/Feldmann.dcm"},
        {"fromSURL": "/d", "toSURL": "/Feldmann"},
    ):
        answer = await server.srm("mv", token=token, expect=400, **surls)
        assert "identifiers" in str(answer)
    assert (await dav.call("COPY", "a.dcm", Destination=dav.path("feldmann"))).status == 400
    assert (await dav.call("PROPPATCH", "a.dcm", update("feldmann"))).status == 400
    link = {"surls": ["/d/a.dcm"], "target": "/d", "view": "basic", "template": "Feldmann/{instance}.dcm"}
    replica = {"replicas": [{"surl": "/d/a.dcm", "url": "https://x.example/feldmann"}]}
    for where, body in (("/admin/v1/link", link), ("/catalog/v1/replicas/add", replica)):
        assert b"identifiers" in (await server.call("POST", where, token=token, json=body)).body

    async def told() -> bool:
        async with server.house.database.acquire() as db:
            rows = await db.fetch("select guid from audit where outcome = 'refused'")
        assert {str(row["guid"]) for row in rows} <= {str(guid)}
        return len(rows) == 6

    await until(told)


async def test_who_may_not_move_it_learns_nothing(server: Server) -> None:
    folder = await server.directory()
    await _put(server, f"{folder}/a.dcm")
    token = await server.token("rlxg", folder)
    for name in ("Feldmann", "Schmidt"):
        tree = await server.srm(
            "mv", token=token, expect=403, fromSURL=f"{folder}/a.dcm", toSURL=f"{folder}/{name}.dcm"
        )
        assert tree["returnStatus"]["statusCode"] == "SRM_AUTHORIZATION_FAILURE"


async def test_nor_linked_or_said_to_lie_at_such_a_url(server: Server) -> None:
    folder = await server.directory()
    await _put(server, f"{folder}/a.dcm")
    await server.srm("mkdir", surl=f"{folder}/Feldmann")
    await server.srm("mkdir", surl=f"{folder}/project")

    async def linked(target: str) -> str:
        body = {"surls": [f"{folder}/a.dcm"], "target": target, "view": "basic", "template": "{instance}.dcm"}
        answer = await server.call("POST", "/admin/v1/link", token=server.admin_token, json=body)
        code: str = answer.tree["files"][0]["status"]["statusCode"]
        return code

    assert await linked(f"{folder}/Feldmann") == "SRM_INVALID_REQUEST"
    assert await linked(f"{folder}/project") == "SRM_SUCCESS"

    async def told(url: str) -> str:
        body = {"replicas": [{"surl": f"{folder}/a.dcm", "url": url}]}
        answer = await server.call("POST", "/catalog/v1/replicas/add", token=server.admin_token, json=body)
        code: str = answer.tree["files"][0]["status"]["statusCode"]
        return code

    assert await told("https://elsewhere.example/F%65ldmann/a.dcm") == "SRM_INVALID_REQUEST"
    assert await told("https://elsewhere.example/a.dcm") == "SRM_SUCCESS"


async def test_nor_is_another_image_that_takes_its_place_while_the_url_is_compared(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await server.directory()
    await server.put(f"{folder}/a.dcm", made(name="Kim^Anna", seed=1))
    compare = NameGuard.compare

    async def slow(*given: Any) -> Any:
        verdicts = await compare(*given)
        await server.put(f"{folder}/a.dcm", made(name=NAME, seed=2), overwrite=True)
        return verdicts

    monkeypatch.setattr(NameGuard, "compare", slow)
    body = {"replicas": [{"surl": f"{folder}/a.dcm", "url": "https://elsewhere.example/Feldmann.dcm"}]}
    answer = await server.call("POST", "/catalog/v1/replicas/add", token=server.admin_token, json=body)
    assert answer.tree["files"][0]["status"]["statusCode"] == "SRM_FILE_BUSY"


async def test_who_tries_many_names_does_not_find_the_one_that_is(
    postgres: PostgresForTests, migrated: str, tmp_path: Any
) -> None:
    """Names that hit are few, whichever way they come. Those that miss tell something as well, and are counted too:
    test_guessing.py."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, naming={"refused": 2}) as server:
        await server.srm("mkdir", surl="/s")
        await _put(server, "/s/a.dcm")
        token, other = await server.token("pdrwlxgs", "/s"), server.admin_token
        body = {"replicas": [{"surl": "/s/a.dcm", "url": "https://elsewhere.example/Feldmann.dcm"}]}

        async def told(token: str) -> str:
            answer = await server.call("POST", "/catalog/v1/replicas/add", token=token, json=body)
            return str(answer.tree["files"][0]["status"]["statusCode"])

        asked = {"fromSURL": "/s/a.dcm", "toSURL": "/s/Feldmann.dcm"}
        await server.srm("mv", token=token, expect=400, **asked)
        assert await told(token) == "SRM_INVALID_REQUEST"
        # Now no name is compared any more, so that nothing is learnt from the next ones.
        for target in ("/s/Feldmann.dcm", "/s/b.dcm"):
            await server.srm("mv", token=token, expect=403, fromSURL="/s/a.dcm", toSURL=target)
        assert await told(token) == "SRM_AUTHORIZATION_FAILURE"
        assert await told(other) == "SRM_INVALID_REQUEST"
