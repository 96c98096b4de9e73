"""What a first site says to its second is looked at, whoever has the credential; and it misses nothing that it has."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID, uuid4

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.catalog.mirrors import changes
from mdm_async.catalog.namespace import entries, places
from mdm_async.client.signed_records import HEADER, signature
from mdm_async.crypt4gh.stream import Sealer
from mdm_async.images.mirroring import one_mirror, sent_entries
from mdm_async.names import Lfn
from mdm_async.postgres.database import Connection
from tests.conftest import Reply, Server
from tests.faults.conditions import until
from tests.faults.test_mirror import directories, guid
from tests.faults.two_sites import Sites, admin, mirrored, two_sites
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

_INSTALLATION = uuid4()


@pytest.fixture(scope="module")
async def sites(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sites]:
    """For all these tests: each has a directory, and a mirror, of its own."""
    async with two_sites(postgres, migrated, tmp_path_factory.mktemp("sites")) as sites:
        yield sites


@dataclass
class First:
    """Whoever has the credential of a mirror."""

    second: Server
    credential: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    said: int = 0

    @classmethod
    async def of(cls, sites: Sites, name: str) -> Self:
        accepted = await admin(sites.second, "POST", f"/{name}/accept", 201, path=f"/{name}")
        first = cls(sites.second, accepted["credential"])
        assert await first.hello() == 200
        return first

    async def hello(self, installation: UUID = _INSTALLATION) -> int:
        """The status of the answer."""
        key = self.key.public_key().public_bytes_raw().hex()
        told = {"installation": str(installation), "key": key, "epoch": None, "complete": None}
        return (await self.call("hello", told)).status

    async def call(self, verb: str, body: dict[str, Any]) -> Reply:
        data = orjson.dumps(body)
        headers = {"Content-Type": "application/json", HEADER: signature(self.key, verb, data)}
        return await self.second.call(
            "POST", f"/mirror/v1/{verb}", token=self.credential, headers=headers, data=data
        )

    async def say(self, *records: dict[str, Any]) -> Any:
        self.said += 1
        reply = await self.call("records", {"epoch": 1, "said": self.said, "records": list(records)})
        assert reply.status == 200, reply.body
        return reply.tree["answers"]

    async def profile(self, **told: object) -> int:
        """The status of the answer."""
        (answer,) = await self.say({"kind": "profile"})
        return await self.upload(answer["upload"], orjson.dumps(told) + b"\n")

    async def upload(self, upload: dict[str, str], content: bytes) -> int:
        sealer = Sealer(bytes.fromhex(upload["recipient"]))
        sealed = [sealer.header(), *sealer.feed(memoryview(content)), *sealer.close()]
        verb = f"uploads/{upload['id']}"
        reply = await self.second.call(
            "PUT",
            f"/mirror/v1/{verb}",
            token=self.credential,
            headers={HEADER: signature(self.key, verb, b"")},
            data=b"".join(sealed),
        )
        return reply.status


def entry(guid: UUID, parent: UUID | None, name: str, **more: object) -> dict[str, Any]:
    """A record of a directory."""
    none = (
        "image",
        "acl",
        "default_acl",
        "default_view",
        "delivery",
        "views",
        "only_view",
        "opaque",
        "force",
    )
    at = "2026-01-01T00:00:00+00:00"
    told: dict[str, Any] = {"kind": "entry", "guid": str(guid), "name": name, "created": at, "modified": at}
    told["parent"] = str(parent) if parent is not None else None
    return told | dict.fromkeys((*none, "rejected")) | {"released": [], "notes": []} | more


async def test_a_directory_that_leaves_and_comes_back_has_all_that_is_in_it(sites: Sites) -> None:
    first = await First.of(sites, "back")
    top, directory, inner = uuid4(), uuid4(), uuid4()
    records = [entry(top, None, "back"), entry(directory, top, "a"), entry(inner, directory, "b")]
    await first.say(*records)
    await first.say({"kind": "gone", "guid": str(directory)}, *records)

    async def what_was_removed_has_gone() -> bool:
        async with sites.second.house.database.acquire() as db:
            return not await db.fetchval("select exists (select from trees_to_remove)")

    await until(what_was_removed_has_gone)
    assert await guid(sites.second, "/back/a") == str(directory)
    assert await guid(sites.second, "/back/a/b") == str(inner)


async def test_a_directory_does_not_come_to_lie_in_itself(sites: Sites) -> None:
    first = await First.of(sites, "ring")
    top, directory, inner = uuid4(), uuid4(), uuid4()
    await first.say(entry(top, None, "ring"), entry(directory, top, "a"), entry(inner, directory, "b"))
    for where in (inner, directory):
        (answer,) = await first.say(entry(directory, where, "a"))
        assert answer["error"]["status"] == 400
    assert await guid(sites.second, "/ring/a/b") == str(inner)


async def test_names_and_rules_are_such_as_everybody_may_give(sites: Sites) -> None:
    first = await First.of(sites, "odd")
    top = uuid4()
    await first.say(entry(top, None, "odd"))
    named = [entry(uuid4(), top, name) for name in ("..", ".", "", "a/b", "a\0b", "a\u202eb", "e\u0301")]
    for principal, rights in (("any:anonymous", "rli"), ("nobody", "r"), ("any:anonymous", "?")):
        acl = [{"principal": principal, "rights": rights, "views": None}]
        named += [entry(top, None, "odd", acl=acl), entry(top, None, "odd", default_acl=acl)]
    answers = await first.say(*named, entry(uuid4(), top, "r", rejected=5))
    assert {answer["error"]["status"] for answer in answers} == {400}


async def test_who_has_stolen_a_mirrors_credential_says_nothing_by_it(sites: Sites) -> None:
    first = await First.of(sites, "stolen")
    top = uuid4()
    thief = First(first.second, first.credential)
    assert await thief.hello() == await thief.hello(uuid4()) == 409
    said = {"epoch": 1, "said": 1, "records": [entry(top, None, "stolen")]}
    unsigned = await first.second.call("POST", "/mirror/v1/records", token=first.credential, json=said)
    assert (await thief.call("records", said)).status == unsigned.status == 401
    assert (await thief.call("shreds", {"epoch": 1, "images": [str(uuid4())]})).status == 401
    assert (await thief.call("acts", {"epoch": 1, "acts": []})).status == 401
    with pytest.raises(AssertionError):
        await thief.profile(name="basic")
    # Nor does whoever has overheard what was said.
    assert (await first.call("records", said)).status == 200
    assert (await first.call("records", said)).status == 409


async def test_a_shred_waits_for_no_file_that_is_on_its_way(sites: Sites) -> None:
    first = await First.of(sites, "late")
    top, image = uuid4(), uuid4()
    file = entry(uuid4(), top, "one.dcm", image=str(image))
    (_, coming) = await first.say(entry(top, None, "late"), file)
    assert (await first.call("shreds", {"epoch": 1, "images": [str(image)]})).status == 200
    content = made(seed=71)
    said = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "issuedBy": None}
    assert await first.upload(coming["upload"], orjson.dumps(said) + b"\n" + content) == 410
    (answer,) = await first.say(file)
    assert answer["error"]["status"] == 410


async def test_a_mirrors_credential_brings_no_keys_but_those_of_profiles(sites: Sites) -> None:
    first = await First.of(sites, "keys")
    projects, key = ["/transfers/99999999999", "/mirrors", "another-project"], bytes(32)
    for project in projects:
        told = {"name": "basic", "toml": None, "project": project, "digest": None, "patients": None}
        assert await first.profile(**told, key=key.hex()) == 400
    assert key not in (await sites.second.house.keys.project_keys(projects)).values()


async def test_what_is_changed_while_a_mirror_is_added_follows(sites: Sites) -> None:
    first = sites.first
    await directories(first, "/nine")
    async with asyncio.TaskGroup() as beside, first.house.database.transaction() as db:
        place = await places.resolve_one(db, Lfn("/nine"))
        assert place.entry is not None
        await entries.make_directories(db, place.entry.id, ["late"])
        adding = beside.create_task(mirrored(sites, "/nine"))

        async def waits_or_is_added() -> bool:
            waits = "select exists (select from pg_locks where not granted)"
            return adding.done() or bool(await db.fetchval(waits))

        await until(waits_or_is_added)
        if adding.done():
            await sites.caught_up("nine")
    await sites.caught_up("nine")
    assert await guid(first, "/nine/late") == await guid(sites.second, "/nine/late")


async def test_a_second_is_complete_once_it_has_what_was_there_when_it_was_added(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, told = sites.first, list[tuple[datetime | None, int]]()
    names = ["/eight", *(f"/eight/{n}" for n in range(3)), "/eight/0/a", "/eight/0/a/b"]
    await directories(first, *names)
    complete = changes.complete

    async def noted(db: Connection, name: str) -> datetime | None:
        upto = await complete(db, name)
        if name == "eight":
            sent = "select count(*) from mirrored_entries where mirror = 'eight'"
            told.append((upto, await db.fetchval(sent)))
        return upto

    with monkeypatch.context() as slow:
        slow.setattr(changes, "complete", noted)
        slow.setattr(sent_entries, "PAGE", 1)
        slow.setattr(one_mirror, "PAGE", 1)
        slow.setattr(one_mirror, "_SAY_HELLO", 0.0)
        slow.setattr(one_mirror, "_LOOK_FOR_SHREDS", 0.0)
        await mirrored(sites, "/eight")

        async def is_complete() -> bool:
            return any(upto is not None and sent == len(names) for upto, sent in told)

        await until(is_complete)
    assert any(0 < sent < len(names) for _, sent in told)
    assert all(upto is None for upto, sent in told if sent < len(names))
