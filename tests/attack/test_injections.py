"""Text that means something to Postgres, JSON, logs, HTTP or people, wherever a caller can put text."""

import os
from typing import Any

import orjson
import pytest

from tests.attack.arena import RECIPIENT, Arena, rule
from tests.attack.yard import User, Yard

NASTY = [
    "a\0b", "a\nb\r\nX-Evil: 1", "'; drop table entries; --", '"}]},{"x":"', "\ud7ff\ue000", "a\u202eb",
    "%s %(x)s {0} {x!r}",
    "$1", "\\u0000", "x" * 5000, "\x1b[31m", "<script>", "null", "\u2028", "😀" * 50,
]  # fmt: skip


async def rows(arena: Arena) -> list[dict[str, Any]]:
    async with arena.server.house.database.acquire() as db:
        return [dict(row) for row in await db.fetch("select * from audit")]


def fields(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that hold the text where text may stand."""
    file = [{"surl": "/mine/own.dcm"}]
    admin = [
        ("tokens", {"name": text, "rights": "r"}), ("tokens", {"name": "n", "rights": text}),
        ("tokens", {"name": "n", "rights": "r", "views": [text]}), ("profiles", {"toml": text}),
        ("profiles", {"toml": f"name = {orjson.dumps(text).decode()}"}), (f"profiles/{'x'}/apply", {"surl": text}),
        ("report", {"surl": text}), ("survivors", {"surl": text}),
        ("certificate", {"surl": text}), ("pseudonyms/lookup", {"pseudonym": text}),
        ("link", {"surls": ["/mine/own.dcm"], "target": "/mine", "view": text}),
        ("link", {"surls": ["/mine/own.dcm"], "target": "/mine", "view": "basic", "template": text}),
        ("audit/show", {"caller": text}), ("audit/show", {"act": text}), ("audit/export", {"caller": text}),
        ("audit/show", {"since": text}), ("audit/show", {"guid": text}), ("recipients/remove", {"principal": text}),
        ("delivery", {"surl": text}),
    ]  # fmt: skip
    srm = [
        ("prepareToGet", {"files": file, "userRequestDescription": text}), ("prepareToGet",
        {"files": file, "view": text}),
        ("prepareToGet", {"files": file, "recipient": text}), ("prepareToGet",
        {"files": file, "transferProtocols": [text]}),
        ("prepareToPut", {"files": [{"surl": "/mine/x"}], "userRequestDescription": text}),
        ("getRequestTokens", {"userRequestDescription": text}), ("getRequestSummary", {"requestTokens": [text]}),
        ("statusOfGetRequest", {"requestToken": text}), ("getPermission", {"surls": ["/mine"], "principals": [text]}),
        ("setPermission", {"surls": ["/mine/own.dcm"], "permissionType": "ADD", "rules": [rule(text, "r")]}),
        ("setPermission", {"surls": ["/mine/own.dcm"], "permissionType": "ADD", "rules": [rule("user:x", text)]}),
        ("setPermission", {"surls": ["/mine/own.dcm"], "permissionType": "ADD", "rules": [rule("user:x",
        "r", text)]}),
        ("setPermission", {"surls": ["/mine/own.dcm"], "permissionType": text}), ("ls",
        {"surls": ["/"], "cursor": text}),
        ("ls", {"surls": [text]}), ("mkdir", {"surl": text}), ("putDone", {"requestToken": text, "surls": [text]}),
        ("releaseFiles", {"surls": [text]}), (text.encode("ascii", "ignore").decode().replace("/", "") or "x", {}),
    ]  # fmt: skip
    replicas = [
        ("list", {"surls": [text]}), ("add", {"replicas": [{"surl": "/mine/own.dcm", "url": text}]}),
        ("add", {"replicas": [{"surl": "/mine/own.dcm", "url": f"https://h/{text}"}]}),
    ]  # fmt: skip
    return [
        *(("POST", f"/admin/v1/{path}", body) for path, body in admin),
        ("PUT", "/admin/v1/recipients", {"principal": text, "key": RECIPIENT}),
        ("PUT", "/admin/v1/recipients", {"key": text}),
        *(("POST", f"/catalog/v1/replicas/{path}", body) for path, body in replicas),
    ] + [("POST", f"/srm/v2/{name}", body) for name, body in srm]  # fmt: skip


@pytest.mark.parametrize("who", ["admin", "narrow", "anonymous"])
@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:12])
async def test_no_text_breaks_anything(arena: Arena, text: str, who: str) -> None:
    """Nothing fails unexpectedly; no header appears; the answer is JSON; the audit can be read."""
    token = arena.server.admin_token if who == "admin" else None
    if who == "narrow":
        token = arena.principals["narrow"].headers["Authorization"][7:]
    broken = []
    for method, path, body in fields(text):
        answer = await arena.server.call(method, path, token=token, json=body)
        if answer.status >= 500 and answer.status != 501:
            broken.append((method, path, list(body)))
        assert "X-Evil" not in answer.headers
        assert answer.tree is not None
    assert broken == []


async def test_the_log_has_a_line_for_each_event_whatever_it_is_about(arena: Arena) -> None:
    for line in arena.log.getvalue().splitlines():
        assert isinstance(orjson.loads(line), dict), line[:200]


async def test_a_claim_of_a_token_gets_into_no_line_of_its_own(arena: Arena) -> None:
    issuer = arena.issuer
    for claims in (
        {"sub": "a\nb"}, {"sub": "a\0b"}, {"sub": "x" * 100_000}, {"sub": ""}, {"sub": "é"}, {"sub": {"a": 1}},
        {"sub": "a", "scope": "storage.read:/a\0b"}, {"sub": "a", "scope": "storage.read:/" + "x/" * 3000},
        {"sub": "a", "scope": "storage.read:/../x"}, {"sub": "a", "scope": "storage.read:/%2e%2e/x"},
        {"sub": "a", "scope": ["storage.read:/"]}, {"sub": "a", "wlcg.groups": ["/a\nb"]}, {"sub": "a",
        "wlcg.groups": "/a"},
        {"sub": "a", "wlcg.groups": ["local#/team"]}, {"sub": "a", "wlcg.groups": ["/x" * 500]},
        {"sub": "a", "exp": 10**400}, {"sub": "a", "exp": "soon"}, {"sub": "a", "aud": ["\0"]},
    ):  # fmt: skip
        answer = await arena.server.call(
            "POST", "/srm/v2/ls", token=issuer.token(**claims), json={"surls": ["/mine"]}
        )
        assert answer.status in (400, 401, 404, 431), (claims, answer.body)
        assert b"\\n" not in answer.body
        assert len(answer.body) < 2000


async def test_a_subject_full_of_quotes_is_one_principal_in_the_audit(yard: Yard) -> None:
    arena = yard.arena
    subject = f"o'x\"}}],{{\\ '; -- #group:local#/team user:admin {os.urandom(3).hex()}"
    name = f"sub:{arena.issuer.url}#{subject}"
    eve = User(yard.server, subject, arena.issuer.token(sub=subject))
    await yard.directory("d", rule("user:somebody-else", "l"))
    await eve.srm("rmdir", surl=yard / "d")
    await eve.admin("GET", "tokens")
    async with arena.server.house.database.acquire() as db:
        await db.execute("select pg_sleep(0.05)")
    found = [row for row in await rows(arena) if row["caller"] == name]
    assert {row["outcome"] for row in found} == {"refused"}
    assert {row["details"]["principal"] for row in found} == {name}
    shown = await arena.server.call(
        "POST", "/admin/v1/audit/show", token=arena.server.admin_token, json={"caller": name}
    )
    assert [row["caller"] for row in shown.tree["rows"]] == [name] * len(found)
    # The rights of the group that it names are not its.
    team = rule("group:local#/team", "xlr")
    await yard.set(yard / "d", team)
    assert not await eve.sees(yard / "d")


@pytest.mark.parametrize(
    "common_name", ["a\nb", "a\0b", "a/CN=Ada User", "a\u202eb", "Ada User/CN=proxy", "x" * 64, "'\"\\", "é"]
)
async def test_a_certificates_name_is_one_principal_or_none(yard: Yard, common_name: str) -> None:
    """A name with a slash in it must not be taken for another's, nor one with a line break for two."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    from tests.attack.principals import holder
    from tests.identity.grid_pki import dn

    arena = yard.arena
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Grid"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    eve = holder(arena, "odd", arena.grid.authority.issue(subject, 6), "whoever")
    for owner in (
        dn("Ada User"),
        dn("a"),
        dn("a", "Ada User"),
        dn("Ada User", "proxy"),
        dn("Ada User") + "/CN=proxy",
    ):
        await yard.set(yard.path, rule(f"dn:{owner}", "xl"))
        answer = await eve.srm(arena.server, "ls", surls=[yard.path])
        assert answer.status in (401, 404), answer.body
    assert all("\n" not in row["caller"] and "\0" not in row["caller"] for row in await rows(arena))


async def test_a_listed_proxys_word_ends_where_the_clients_begins() -> None:
    """What is left of the last address in X-Forwarded-For is the client's own, and no address is nobody's."""
    from types import SimpleNamespace

    from multidict import CIMultiDict

    from mdm_async.web.http import channel

    for told, source in (
        ("203.0.113.1, 192.0.2.9", "192.0.2.9"),
        ("192.0.2.9\n203.0.113.1", "127.0.0.1"),
        ("'; --", "127.0.0.1"),
        ("192.0.2.9, x", "127.0.0.1"),
        ("", "127.0.0.1"),
    ):
        settings = SimpleNamespace(server=SimpleNamespace(trusted_proxies=("127.0.0.1",)))
        request: Any = SimpleNamespace(
            remote="127.0.0.1",
            headers=CIMultiDict({"X-Forwarded-For": told}),
            app={channel.HOUSE: SimpleNamespace(settings=settings)},
        )
        assert channel.source_of(request) == source, told
