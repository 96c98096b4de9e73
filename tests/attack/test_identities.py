"""The identified view, and what belongs to it, for those who may do nearly everything else."""

import re
import zlib
from hashlib import sha256

import pytest

from tests.attack.arena import RECIPIENT, Arena, rule
from tests.attack.principals import Principal, bearer, holder
from tests.attack.yard import EVERY, Yard
from tests.conftest import Reply
from tests.identity.grid_pki import LIMITED, VO, dn
from tests.web.test_privacy import MARKERS, planted

KINDS = (
    "admin",
    "star",
    "default",
    "limited",
    "limited voms",
    "project",
    "i without r",
    "r on identified without i",
)


@pytest.fixture
async def scene(yard: Yard) -> dict[str, Principal]:
    """A file and callers who have every right to it but that one."""
    arena = yard.arena
    file = await yard.directory("d")
    # By somebody else: whoever sent it is told its size and checksums for a while.
    await yard.server.put(f"{file}/a.dcm", planted(), token=await yard.server.token("rwdlxg"))
    rights = "pdrwlxgs"
    proxy = holder(arena, "limited", arena.grid.user.proxy(policy=LIMITED), dn("Ada User"))
    voms = holder(
        arena, "limited-voms", arena.grid.voms_proxy("-limited", fqans=[f"/{VO}/x"]), dn("Ada User")
    )
    star, plain, half, other = (
        await yard.user(rights, views=["*"]), await yard.user(rights),
        await yard.user("pdwlxgsi"), await yard.user(rights, views=list(EVERY)),
    )  # fmt: skip
    project = await yard.user(rights + "i", views=list(EVERY), path=yard / "project")
    await yard.directory("project", project.may(rights + "i", *EVERY))
    await yard.set(
        yard / "d",
        rule(f"dn:{dn('Ada User')}", rights + "i", *EVERY),
        rule(f"fqan:/{VO}/x", rights + "i", *EVERY),
        project.may("r"),
        rule("any:authenticated", "x"),
    )
    answer = await project.admin(
        "POST", "link", surls=[f"{file}/a.dcm"], target=yard / "project", view="basic"
    )
    assert answer.status == 200, answer.body
    linked = answer.tree["files"][0]["lfn"]
    return {
        "admin": bearer("admin", "user:admin", yard.server.admin_token),
        "star": bearer("star", star.principal, star.token),
        "default": bearer("default", plain.principal, plain.token),
        "limited": proxy,
        "limited voms": voms,
        "project": bearer(linked, project.principal, project.token),
        "i without r": bearer("half", half.principal, half.token),
        "r on identified without i": bearer("other", other.principal, other.token),
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_identities_are_told_through_no_face(
    yard: Yard, scene: dict[str, Principal], kind: str
) -> None:
    who, server = scene[kind], yard.server
    file = who.kind if kind == "project" else yard / "d/a.dcm"
    directory = yard / "project" if kind == "project" else yard / "d"
    asked: list[Reply] = []
    for surl in (file, f"/@identified{file}", f"srm://h:1/srm/managerv2?SFN=/@identified{file}"):
        for options in ({"recipient": RECIPIENT}, {}):
            for view in ("identified", None):
                if view is None and "@" not in surl:
                    continue
                body = {"files": [{"surl": surl}], **options, **({"view": view} if view else {})}
                asked.append(await who.srm(server, "prepareToGet", **body))
                asked.append(await who.srm(server, "bringOnline", **body))
                assert all(reply.status == 403 for reply in asked[-2:]), (asked[-1].body, asked[-2].body)
    for surl in (file, directory, f"/@identified{file}", f"/@identified{directory}"):
        wanted = {"Want-Digest": "md5,sha-256", "Depth": "1"}
        asked.append(await who.call(server, "HEAD", f"/dav{surl}", headers=wanted))
        asked.append(await who.call(server, "PROPFIND", f"/dav{surl}", headers=wanted))
        asked.append(await who.srm(server, "ls", surls=[surl], fullDetailedList=True))
        asked.append(await who.srm(server, "checkPermission", surls=[surl]))
        asked.append(await who.srm(server, "getPermission", surls=[surl], principals=["user:owner"]))
        asked.append(await who.call(server, "POST", "/admin/v1/report", json={"surl": surl}))
        asked.append(await who.call(server, "POST", "/catalog/v1/replicas/list", json={"surls": [surl]}))
    if kind != "i without r":
        release = {"surls": [file]}
        answer = await who.call(server, "POST", "/admin/v1/profiles/basic/release", json=release)
        assert answer.status == 403
    replica = {"replicas": [{"surl": f"/@identified{file}", "url": "https://elsewhere.example/x"}]}
    asked.append(await who.call(server, "POST", "/catalog/v1/replicas/add", json=replica))
    assert asked[-1].status in (403, 404)
    asked.append(await who.call(server, "POST", "/catalog/v1/replicas/list", json={"surls": [file]}))
    assert b'"view":"identified"' not in asked[-1].body
    original = planted()
    telling = [str(len(original)), f"{zlib.adler32(original):08x}", sha256(original).hexdigest()]
    pattern = re.compile(rf"(?<![\w.])({'|'.join(telling)})(?!\w)")
    for reply in asked:
        assert b"transferURL" not in reply.body
        assert not pattern.search(reply.body.decode() + str(dict(reply.headers))), reply.body
        assert not [marker for marker in MARKERS if marker.encode() in reply.body]
        assert b'"identified"]' not in reply.body or b"principal" in reply.body, "told as one of his views"


@pytest.mark.parametrize("kind", ["limited", "limited voms"])
async def test_a_limited_proxy_changes_no_rights(yard: Yard, scene: dict[str, Principal], kind: str) -> None:
    who, server = scene[kind], yard.server
    rules = [rule("any:anonymous", "r")]
    for surl in (yard / "d", yard / "d/a.dcm"):
        for body in (
            {"permissionType": "ADD", "rules": rules},
            {"inherit": True},
            {"permissionType": "SET", "rules": rules},
        ):
            assert (await who.srm(server, "setPermission", surls=[surl], **body)).status == 403
        assert (await who.srm(server, "getPermission", surls=[surl])).status == 403
    body = {"surl": yard / "d", "identified": "clear"}
    assert (await who.call(server, "PUT", "/admin/v1/delivery", json=body)).status == 403
    assert (await who.call(server, "PUT", "/admin/v1/recipients", json={"key": RECIPIENT})).status == 403
    assert (await who.call(server, "POST", "/admin/v1/recipients/remove", json={})).status == 403


async def test_a_token_beside_a_certificate_decides_alone(arena: Arena, yard: Yard) -> None:
    """Neither adds to the other: what the certificate alone may is refused, and in the token's name."""
    eve = arena.principals["certificate"]
    await yard.set(yard.path, rule(str(eve.name), "xlr"))
    file = await yard.file("a.dcm")
    assert (await eve.srm(arena.server, "prepareToGet", files=[{"surl": file}])).status == 200
    user = await yard.user("l", "/elsewhere")
    body = {"files": [{"surl": file}]}
    for token, status in ((user.token, 404), ("wrong", 401), ("", 401), ("a.b.c", 401)):
        headers = {"Authorization": f"Bearer {token}"}
        answer = await eve.call(arena.server, "POST", "/srm/v2/prepareToGet", json=body, headers=headers)
        assert answer.status == status, token
    # And a token does not bring its rights to a later request of the same connection.
    answer = await eve.call(
        arena.server,
        "GET",
        "/admin/v1/tokens",
        headers={"Authorization": f"Bearer {arena.server.admin_token}"},
    )
    assert answer.status == 200
    assert (await eve.call(arena.server, "GET", "/admin/v1/tokens")).status == 403


async def test_an_administrator_takes_identities_only_by_a_grant_that_is_audited(yard: Yard) -> None:
    file = await yard.file("a.dcm")
    server, admin = yard.server, "user:admin"
    body = {"surls": [file], "permissionType": "ADD", "rules": [rule(admin, "ri", "identified")]}
    await server.srm("setPermission", **body)
    await server.prepare(file, view="identified", recipient=RECIPIENT)
    async with server.house.database.acquire() as db:
        found = await db.fetch(
            "select details from audit where act = 'set permission' and details::text like '%user:admin%'"
        )
    assert found
