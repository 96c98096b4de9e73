"""What is attacked: a tree with things to reach for, all full of markers, and a victim who has done things there."""

import base64
import io
import os
import re
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from tests.attack.principals import Principal
from tests.backfilled import settled
from tests.conftest import Reply, Server
from tests.identity.grid_pki import Grid
from tests.identity.token_issuer import TokenIssuer
from tests.web.test_privacy import MARKERS, planted

OWNER = "user:owner"
RECIPIENT = base64.b64encode(public_key(new_private_key())).decode()
NAMES = ("veiledlfn", "vaultlfnx", "innerlfnx", "otherlfnx", "insidelfn")
"""Markers in the names that nobody but the owner and administrators may list."""
_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTALLATION = """(select to_jsonb(i) - '{acl_epoch, changes_mark, changes_marked, changes_trimmed}'::text[], i.id
                    from installation i)"""
"""Without what the server writes there by itself, some time after there was a change."""
_CHANGING = ("x-request-id", "date")


@dataclass(frozen=True)
class Aim:
    """Things of one place that a request can name; a free one names as long ones that nobody has."""

    file: str
    directory: str
    guid: str
    requests: dict[str, str]
    """By operation: get, put, bring_online."""
    token: str
    """A local token's name."""
    pseudonym: str
    turl: str
    study: str
    series: str
    instance: str
    """UIDs, as the de-identified view has them; a free one's instance is in the same series."""

    @property
    def words(self) -> list[str]:
        """All that its answers may repeat, the longest first."""
        found = [self.file, self.directory, self.guid, self.token, self.pseudonym, self.turl, self.instance]
        found += [self.file.rpartition("/")[2], *self.requests.values()]
        return sorted(found, key=len, reverse=True)

    def told(self, reply: Reply) -> bytes:
        """An answer without what differs from one to the next anyhow, and without the names that were asked for."""
        lines = [f"{reply.status}".encode()]
        lines += [
            f"{name}: {value}".encode()
            for name, value in sorted(reply.headers.items())
            if name.lower() not in _CHANGING
        ]
        text = b"\n".join([*lines, reply.body])
        for word in self.words:
            text = text.replace(word.encode(), b"NAME")
        return _UUID.sub(b"ID", re.sub(rb'"requestId":"[0-9a-f]{16}"', b"", text))


@dataclass
class Arena:
    """A server with its victim's things."""

    server: Server
    owner: str = ""
    principals: dict[str, Principal] = field(default_factory=dict)
    aims: dict[str, tuple[Aim, Aim]] = field(default_factory=dict)
    """What may not be reached, and what is not there, by kind."""
    secrets: set[str] = field(default_factory=set)
    """What nobody but the owner may ever be told: GUIDs, sizes, checksums, tags, tokens."""
    original: bytes = b""
    log: io.StringIO = field(default_factory=io.StringIO)
    issuer: TokenIssuer = field(default_factory=TokenIssuer)
    grid: Grid | None = None
    mapping: Path = Path()

    async def set_acl(self, path: str, *rules: dict[str, Any], default: bool = False) -> None:
        body: dict[str, Any] = {"permissionType": "SET", "rules": list(rules), "default": default}
        await self.server.srm("setPermission", surls=[path], **body)

    async def state(self) -> list[Any]:
        """Digests of all that an attacker may not change, once the server has done what it does by itself."""
        await settled(self.server)
        digests = [
            f"(select md5(coalesce(string_agg(t::text, '|' order by {key}), '')) from {table} t)"
            for table, key in (
                ("entries", "id"), ("images", "id"), ("acls", "id"), ("tokens", "id"), ("recipients", "principal"),
                ("profiles", "name"), ("releases", "image"),
                ("collections", "id"), ("collection_attributes", "id"), ("own_values", "(entry, attribute)"),
                ("sequences", "(directory, name)"), ("saved_queries", "(directory, name)"),
                ("(select * from cohorts where members is not null)", "id"),
                (_INSTALLATION, "id"), ("views", "made"),
            )
        ]  # fmt: skip
        async with self.server.house.database.acquire() as db:
            # One statement, for this is asked twice in each of thousands of tests.
            return list(
                await db.fetchrow(
                    f"select {', '.join(digests)},"
                    " (select md5(string_agg(concat(turl, state, expires, image), '|' order by turl)) from grants"
                    " where caller = $1),"
                    " (select count(*) from grants where caller <> $1 and state in ('pinned', 'open', 'uploaded'))",
                    OWNER,
                )
            )

    def leaks(self, told: bytes) -> list[str]:
        """Secrets and markers in an answer, beside the names that were asked for."""
        return [text for text in (*self.secrets, *MARKERS, *NAMES) if text.encode() in told]


def rule(principal: str, rights: str, *views: str) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | ({"views": list(views)} if views else {})


OWNERS = rule(OWNER, "pdrwlxgsi", "*", "identified")


async def built(server: Server) -> Arena:
    """The tree, and what its owner has done in it."""
    arena = Arena(server, original=planted())
    arena.owner = await server.token("", name="owner")
    for path in ("/seen", "/seen/vaultlfnx", "/otherlfnx", "/otherlfnx/below", "/mine"):
        await server.srm("mkdir", surl=path)
    for path, data in (
        ("/seen/plain.dcm", planted(pixels=False)),
        ("/seen/veiledlfn.dcm", arena.original),
        ("/seen/vaultlfnx/innerlfnx.dcm", arena.original),
        ("/otherlfnx/insidelfn.dcm", arena.original),
        ("/mine/own.dcm", planted(pixels=False)),
    ):
        await server.put(path, data)
    await arena.set_acl("/", rule("any:anonymous", "x"))
    await arena.set_acl(
        "/seen",
        rule("any:anonymous", "xlg"),
        rule("any:authenticated", "r"),
        rule(OWNER, "w"),
        rule("user:colleague", "pdrlxgs", "*"),
    )
    for path in ("/seen/veiledlfn.dcm", "/seen/vaultlfnx", "/otherlfnx"):
        await arena.set_acl(path, OWNERS)
    for path, file in (("/seen/vaultlfnx", "innerlfnx.dcm"), ("/otherlfnx", "insidelfn.dcm")):
        await _describe(arena, path, file)
    for path, file, directory in (
        ("veiled", "/seen/veiledlfn.dcm", "/seen/vaultlfnx"),
        ("inner", "/seen/vaultlfnx/innerlfnx.dcm", "/seen/vaultlfnx/innerlfnx"),
        ("other", "/otherlfnx/insidelfn.dcm", "/otherlfnx"),
    ):
        aim = await _aim(arena, file, directory)
        arena.aims[path] = aim, _free(aim)
    for directory, file in (
        ("/seen/vaultlfnx", "/seen/vaultlfnx/innerlfnx.dcm"),
        ("/otherlfnx", "/seen/veiledlfn.dcm"),
    ):
        reply = await server.call(
            "POST",
            "/cohorts/v1/create",
            token=server.admin_token,
            json={"surl": f"{directory}/kept", "files": [file]},
        )
        arena.secrets |= {reply.tree["cohort"], reply.tree["digest"]}
    arena.secrets |= {server.admin_token, arena.owner, (server.data / "secrets" / "kek").read_text().strip()}
    return arena


async def _describe(arena: Arena, directory: str, file: str) -> None:
    """Attributes of the owner's own, with a value."""
    what, value = f"hidden{os.urandom(4).hex()}", f"value{os.urandom(4).hex()}"
    asked: dict[str, Any] = {
        "surl": directory,
        "name": "mine",
        "attributes": [{"name": what}, {"name": "quality"}],
    }
    values = {"surls": [f"{directory}/{file}"], "values": {f"mine.{what}": value, "mine.quality": value}}
    kept = {"surl": directory, "name": "kept", "query": f'Modality = "{value}"'}
    run = {"surl": directory, "name": "run", "start": 7_310_231}
    for verb, body, status in (
        ("schemas/create", asked, 201), ("set", values, 200), ("queries/save", kept, 201),
        ("sequences/create", run, 201),
    ):  # fmt: skip
        answer = await arena.server.call(
            "POST", f"/meta/v1/{verb}", token=arena.server.admin_token, json=body
        )
        assert answer.status == status, answer.body
    arena.secrets |= {what, value, "7310231"}


async def _aim(arena: Arena, file: str, directory: str) -> Aim:
    """The owner reads, writes and stages beside it, so that there are requests, pins and transfer URLs."""
    server, owner = arena.server, arena.owner
    (listed,) = (await server.srm("ls", token=owner, surls=[f"/@identified{file}"]))["files"]
    sealed = await server.prepare(file, token=owner, view="identified", recipient=RECIPIENT)
    clear = await server.prepare(file, token=owner)
    head = await server.call("HEAD", clear["transferURL"])
    parent = file.rpartition("/")[0]
    put = await server.srm("prepareToPut", token=owner, files=[{"surl": f"{parent}/uploaded.dcm"}])
    staged = await server.srm("bringOnline", token=owner, files=[{"surl": file}])
    turl = re.search(r"/t/([\w-]+)/", clear["transferURL"])
    assert turl is not None
    name = f"held{os.urandom(4).hex()}"
    found = await server.call("GET", f"/dicom-web/instances?path={file}", token=owner)
    study, series, instance = (
        str(found.tree[0][tag]["Value"][0]) for tag in ("0020000D", "0020000E", "00080018")
    )
    arena.secrets |= {
        instance,
        await server.token("r", "/otherlfnx", name=name),
        listed["guid"], f'"size":{listed["size"]}', listed["checkSumValue"], sha256(arena.original).hexdigest(),
        f"{zlib.adler32(arena.original):08x}", f'"fileSize":{clear["fileSize"]}', clear["checkSumValue"],
        head.headers["ETag"].strip('"'), sealed["checkSumValue"], sealed["senderPublicKey"],
        put["files"][0]["uploadRecipient"],
    }  # fmt: skip
    for line in (sealed, clear, *put["files"]):
        arena.secrets.add(line["transferURL"].rpartition("/t/")[2])
    requests = {
        "get": clear["requestToken"],
        "put": put["requestToken"],
        "bring_online": staged["requestToken"],
    }
    uids = (study, series, instance)
    return Aim(file, directory, listed["guid"], requests, name, "00000000pseudo", turl[1], *uids)


def _free(aim: Aim) -> Aim:
    """Names as long as those, and numbers, that nothing has."""

    def other(path: str) -> str:
        for name, instead in zip(
            NAMES, ("absentlfn", "vacatlfnx", "nonexlfnx", "etherlfnx", "nothinlfn"), strict=True
        ):
            path = path.replace(name, instead)
        return path

    requests = {operation: str(uuid4()) for operation in ("get", "put", "bring_online")}
    return Aim(
        other(aim.file), other(aim.directory), str(uuid4()), requests, f"free{os.urandom(4).hex()}", "11111111pseudo",
        os.urandom(32).hex()[:43], aim.study, aim.series, f"2.25.{uuid4().int}",
    )  # fmt: skip


def is_uuid(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def json_of(reply: Reply) -> Any:
    return orjson.loads(reply.body)
