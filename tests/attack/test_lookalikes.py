"""Names that are taken for other names, in every face that takes one."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.attack.arena import Arena
from tests.attack.faces import EVERY as ATTACKS
from tests.attack.yard import Yard
from tests.web.soap import envelopes

Body = Callable[[str], dict[str, Any]]

FACES: list[tuple[str, str, Body]] = [
    ("POST", "/srm/v2/ls", lambda n: {"surls": [n]}),
    ("POST", "/srm/v2/mkdir", lambda n: {"surl": n}),
    ("POST", "/srm/v2/mkdir", lambda n: {"surl": f"{n or 'x'}/x", "parents": True}),
    ("POST", "/srm/v2/rmdir", lambda n: {"surl": n, "recursive": True}),
    ("POST", "/srm/v2/rm", lambda n: {"surls": [n]}),
    ("POST", "/srm/v2/mv", lambda n: {"fromSURL": n, "toSURL": "/x"}),
    ("POST", "/srm/v2/mv", lambda n: {"fromSURL": "/mine/own.dcm", "toSURL": n}),
    ("POST", "/srm/v2/checkPermission", lambda n: {"surls": [n]}),
    ("POST", "/srm/v2/getPermission", lambda n: {"surls": [n]}),
    ("POST", "/srm/v2/setPermission", lambda n: {"surls": [n], "inherit": True}),
    ("POST", "/srm/v2/prepareToPut", lambda n: {"files": [{"surl": n}]}),
    ("POST", "/srm/v2/prepareToGet", lambda n: {"files": [{"surl": n}]}),
    ("POST", "/srm/v2/bringOnline", lambda n: {"files": [{"surl": n}]}),
    ("POST", "/srm/v2/copy", lambda n: {"files": [{"sourceSURL": n, "targetSURL": "/mine/copied.dcm"}]}),
    ("POST", "/srm/v2/copy", lambda n: {"files": [{"sourceSURL": "/mine/own.dcm", "targetSURL": n}]}),
    ("POST", "/srm/v2/releaseFiles", lambda n: {"surls": [n]}),
    ("POST", "/tape/v1/stage", lambda n: {"files": [{"path": n}]}),
    ("POST", "/tape/v1/stage", lambda n: {"files": [{"path": f"/dav{n}" if n[:1] == "/" else n}]}),
    ("POST", "/tape/v1/release/gfal2-placeholder-id", lambda n: {"paths": [n]}),
    ("POST", "/tape/v1/archiveinfo", lambda n: {"paths": [n]}),
    ("POST", "/admin/v1/tokens", lambda n: {"name": "lookalike", "rights": "r", "path": n}),
    ("POST", "/admin/v1/profiles/basic/plan", lambda n: {"surl": n}),
    ("POST", "/admin/v1/profiles/basic/apply", lambda n: {"surl": n}),
    ("POST", "/admin/v1/profiles/basic/progress", lambda n: {"surl": n}),
    ("POST", "/admin/v1/profiles/basic/release", lambda n: {"surls": [n]}),
    ("POST", "/admin/v1/report", lambda n: {"surl": n}),
    ("POST", "/admin/v1/survivors", lambda n: {"surl": n}),
    ("POST", "/admin/v1/certificate", lambda n: {"surl": n}),
    ("POST", "/meta/v1/attributes", lambda n: {"path": n}),
    ("POST", "/admin/v1/cache/evict", lambda n: {"surls": [n]}),
    ("POST", "/manifests/v1", lambda n: {"surls": [n], "view": "basic"}),
    (
        "POST",
        "/meta/v1/find",
        lambda n: {"query": "c.PatientID = PatientID", "path": "/mine", "joins": {"c": n}},
    ),
    ("POST", "/meta/v1/find", lambda n: {"query": "Modality is known", "path": n}),
    ("POST", "/admin/v1/link", lambda n: {"surls": [n], "target": "/mine", "view": "basic"}),
    ("POST", "/admin/v1/link", lambda n: {"surls": ["/mine/own.dcm"], "target": n, "view": "basic"}),
    ("POST", "/admin/v1/delivery", lambda n: {"surl": n}),
    ("POST", "/admin/v1/intake", lambda n: {"surl": n}),
    ("PUT", "/admin/v1/intake", lambda n: {"surl": n, "force": "yes"}),
    ("POST", "/admin/v1/whoami", lambda n: {"surl": n}),
    ("PUT", "/admin/v1/delivery", lambda n: {"surl": n, "deidentified": "sealed"}),
    ("POST", "/cohorts/v1/create", lambda n: {"surl": n, "files": ["/mine/own.dcm"]}),
    ("POST", "/cohorts/v1/create", lambda n: {"surl": "/mine/c", "files": [n]}),
    ("POST", "/cohorts/v1/create", lambda n: {"surl": "/mine/c", "query": "Rows > 1", "path": n}),
    ("POST", "/cohorts/v1/list", lambda n: {"surl": n}),
    ("POST", "/cohorts/v1/show", lambda n: {"surl": n}),
    ("POST", "/cohorts/v1/members", lambda n: {"surl": n}),
    ("POST", "/cohorts/v1/diff", lambda n: {"surl": n}),
    ("POST", "/cohorts/v1/delete", lambda n: {"surl": n}),
    ("POST", "/catalog/v1/replicas/list", lambda n: {"surls": [n]}),
    ("POST", "/admin/v1/shred/look", lambda n: {"surls": [n]}),
    ("POST", "/admin/v1/shred", lambda n: {"surls": [n], "id": str(UUID(int=1)), "digest": "0" * 64}),
    ("POST", "/admin/v1/keys/list", lambda n: {"surls": [n]}),
    ("POST", "/admin/v1/keys/register", lambda n: {"surls": [n]}),
    ("POST", "/admin/v1/keys/unregister", lambda n: {"surls": [n]}),
    ("POST", "/admin/v1/keys/rekey", lambda n: {"surls": [n]}),
    ("POST", "/meta/v1/get", lambda n: {"surls": [n]}),
    ("POST", "/meta/v1/set", lambda n: {"surls": [n], "values": {"mine.quality": 3}}),
    (
        "POST",
        "/meta/v1/take",
        lambda n: {"path": n, "query": "Rows > 0", "values": {"mine.quality": "taken"}},
    ),
    ("POST", "/meta/v1/schemas/show", lambda n: {"surl": n}),
    ("POST", "/meta/v1/schemas/create", lambda n: {"surl": n, "name": "mine"}),
    ("POST", "/meta/v1/schemas/change", lambda n: {"surl": n, "name": "mine"}),
    ("POST", "/meta/v1/schemas/drop", lambda n: {"surl": n, "name": "mine"}),
    ("POST", "/meta/v1/sequences/list", lambda n: {"surl": n}),
    ("POST", "/meta/v1/sequences/create", lambda n: {"surl": n, "name": "run"}),
    ("POST", "/meta/v1/sequences/next", lambda n: {"surl": n, "name": "run"}),
    ("POST", "/meta/v1/sequences/remove", lambda n: {"surl": n, "name": "run"}),
    ("POST", "/meta/v1/queries/list", lambda n: {"surl": n}),
    ("POST", "/meta/v1/queries/show", lambda n: {"surl": n, "name": "kept"}),
    ("POST", "/meta/v1/queries/save", lambda n: {"surl": n, "name": "other", "query": "Rows > 1"}),
    ("POST", "/meta/v1/queries/remove", lambda n: {"surl": n, "name": "kept"}),
    ("POST", "/catalog/v1/replicas/add", lambda n: {"replicas": [{"surl": n, "url": "https://e.example/x"}]}),
]

LOOKALIKES = [
    "/seen/../otherlfnx", "/seen/./../otherlfnx", "//seen//../otherlfnx", "/seen/.//..", "seen/plain.dcm", "", "./seen",
    "/seen/%2e%2e/otherlfnx", "/seen%2fplain.dcm", "/seen/%252e%252e/x", "/seen/..%2fotherlfnx", "/seen/%00",
    "/seen\\plain",
    "/seen/\u0000x", "/seen/x\ny", "/seen/x\u202edcm", "/s\u0435en", "/seen\u2215plain.dcm",
    "/seen/\uff0e\uff0e/x", "/seen/pla\u200bin",
    "/seen/\u00a0", "/" + "x" * 256, "/" + "/".join(["x" * 200] * 30), "/@IDENTIFIED/seen", "/@/seen", "/@a b/seen",
    "/@identified/../seen", "/@identified/@basic/../seen", "//@identified//@basic/seen", "/./@IDENTIFIED/seen", "srm://h/srm/managerv2?SFN=seen",
    "srm://h/srm/managerv2?SURL=/seen",
    "srm:///seen", "guid:", "guid:/seen", "guid:00000000-0000-0000-0000-00000000000g", "guid:../otherlfnx",
    "file:///etc/passwd",
    "http://localhost/seen", "turl:x",
]  # fmt: skip


def test_every_face_that_takes_a_name_is_tried() -> None:
    """As the attacks of `faces` show: those whose bodies change with what they aim at."""
    from tests.attack.arena import Aim

    one, other = (
        Aim(
            f"/{c}",
            f"/{c}",
            c,
            dict.fromkeys(("get", "put", "bring_online"), c),
            "t",
            "p",
            "u",
            "1.2",
            "1.3",
            "1.4",
        )
        for c in "ab"
    )
    taking = {
        (attack.method, attack.path(one))
        for attack in ATTACKS
        if attack.body is not None
        and attack.path(one) == attack.path(other)
        and str(attack.body(one)) != str(attack.body(other))
        and "/a" in str(attack.body(one))
        and "/audit/" not in attack.path(one)
        and "none-such" not in attack.path(one)
    }
    tried = {(method, path) for method, path, _ in FACES}
    of_requests = {
        path for _, path in taking if path.endswith(("putDone", "abortFiles", "Request", "LifeTime"))
    }
    same = {"/catalog/v1/replicas/remove", "/catalog/v1/replicas/master"}
    assert {one for one in taking if one[1] not in of_requests | same} <= tried


@pytest.mark.parametrize(
    ("method", "path", "body"), FACES, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_a_misleading_name_is_no_name(arena: Arena, method: str, path: str, body: Body) -> None:
    before = await arena.state()
    for name in LOOKALIKES:
        for token in (arena.server.admin_token, arena.principals["narrow"].headers["Authorization"][7:]):
            answer = await arena.server.call(method, path, token=token, json=body(name))
            if path == "/srm/v2/copy" and answer.status == 501:
                # A URL of elsewhere, by what nothing is copied.
                assert name.startswith(("file:", "http:", "turl:")), (name, answer.body)
            elif token == arena.server.admin_token:
                assert answer.status == 400, (name, answer.body)
            else:
                assert answer.status in (400, 403, 404), (name, answer.body)
            assert b"Traceback" not in answer.body
    assert await arena.state() == before


async def test_a_misleading_name_is_no_name_in_soap_either(arena: Arena) -> None:
    """As far as XML can carry it; a client of gSOAP sends bytes."""
    before = await arena.state()
    for name in (one for one in LOOKALIKES if "\0" not in one):
        for agent in ("gSOAP/2.8", "another"):
            sent = name.encode().decode("latin-1") if agent == "gSOAP/2.8" else name
            answer = await arena.server.call(
                "POST",
                envelopes.PATH,
                token=arena.server.admin_token,
                data=envelopes.ls(sent, numOfLevels=0),
                headers={**envelopes.HEADERS, "User-Agent": agent},
            )
            told = envelopes.response(answer.body)
            # What is too long for any name is refused as a whole.
            status = (
                told["details"]["pathDetailArray"]["status"] if "details" in told else told["returnStatus"]
            )
            assert status["statusCode"] == "SRM_INVALID_REQUEST", (name, answer.body)
    assert await arena.state() == before


@pytest.mark.parametrize("token", ["..", "%2e%2e", "%00", "%ff", "a%2fb", "x" * 70, "%0d%0aX: y", "é", "*"])
async def test_a_misleading_name_in_a_url_is_no_name(arena: Arena, token: str) -> None:
    from yarl import URL

    for method, path in (
        ("DELETE", f"/admin/v1/tokens/{token}"),
        ("GET", f"/admin/v1/profiles/{token}"),
        ("POST", f"/admin/v1/profiles/{token}/plan"),
        ("POST", f"/admin/v1/profiles/{token}/release"),
        ("POST", f"/srm/v2/{token}"),
    ):
        url = URL(arena.server.url + path, encoded=token.isascii())
        headers = {"Authorization": f"Bearer {arena.server.admin_token}"}
        async with arena.server.http.request(method, url, headers=headers, json={"surls": ["/"]}) as answer:
            assert answer.status in (400, 404, 405, 501), (method, path, answer.status)
            assert "X" not in answer.headers


async def test_no_directory_can_be_named_like_a_view(yard: Yard) -> None:
    """Listed as `/@identified/…`, its path would mean the identified view of something else."""
    server = yard.server
    before = await yard.arena.state()
    for surl in ("/@basic/@identified", "/@identified/@basic", "srm://h/@basic/@x"):
        await server.srm("mkdir", surl=surl, expect=None)
        await server.srm("mkdir", surl=f"{surl}/x", parents=True, expect=None)
    await yard.directory("d")
    await server.srm("mv", fromSURL=yard / "d", toSURL="/@basic/@identified", expect=None)
    assert await yard.there(yard / "d")
    listed = await server.srm("ls", surls=["/"])
    names = [child["path"] for child in listed["files"][0]["subPaths"]]
    assert not [name for name in names if name.startswith("/@")]
    assert before


async def test_a_view_in_a_name_is_no_way_around_the_right_to_it(yard: Yard) -> None:
    user = await yard.user("rlxg")
    file = await yard.file("a.dcm")
    for surl in (
        f"/@identified/@basic{file}", f"/@basic/@identified{file}", f"/@none-such{file}",
        f"srm://h/srm/managerv2?SFN=/@identified{file}", f"srm://h/@identified{file}",
    ):  # fmt: skip
        for view in (None, "basic"):
            assert not await user.reads(surl, view), surl
            assert not await user.reads(surl, view, sealed=True), surl


async def test_cursors_and_offsets_show_nothing_that_is_hidden(arena: Arena) -> None:
    from mdm_async.web.http.cursor import encode

    for kind in ("anonymous", "narrow", "colleague", "certificate"):
        who = arena.principals[kind]
        seen: set[str] = set()
        for body in (
            [{"count": 1, "offset": n} for n in range(5)]
            + [{"count": n} for n in range(5)]
            + [
                {"cursor": encode(text)}
                for text in ("a", "v", "veiledlfn.dc", "vault", "../otherlfnx", "/otherlfnx", "%", "é")
            ]
            + [{"cursor": text} for text in ("", "=", "x", "AAAA", "%00", "a" * 600, "Li4vLi4")]
            + [{"numOfLevels": 1, "fullDetailedList": True}]
        ):
            answer = await who.srm(arena.server, "ls", surls=["/seen"], **body)
            assert answer.status in (200, 400), answer.body
            assert arena.leaks(answer.body) == []
            if answer.status == 200:
                seen |= {child["path"] for child in answer.tree["files"][0].get("subPaths", ())}
        assert seen == {"/seen/plain.dcm"}
        answer = await who.srm(arena.server, "ls", surls=["/otherlfnx"], cursor=encode("a"))
        assert answer.status in (401, 404)
