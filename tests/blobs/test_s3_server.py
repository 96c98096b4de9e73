"""A server whose blobs lie in a bucket of a real Ceph: what is stored, served, looked after, and removed for good."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mdm_async.blobs.s3.requests import Requests
from tests.blobs.buckets import Bucket, bucket_of
from tests.blobs.test_own_store import beside
from tests.ceph import Ceph
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.sealed_lines import PRIVATE, RECIPIENT, unsealed

LARGE = made(pixels=9_000_000, head=400_000, seed=7100)
CLEAR = {"identified": "clear"}
_SEEDS = count(7200)


@pytest.fixture(scope="module")
async def bucket(ceph: Ceph) -> AsyncIterator[Bucket]:
    async with bucket_of(ceph) as made_:
        await made_.make_versioned()
        yield made_


@pytest.fixture(scope="module")
async def dsn(postgres: PostgresForTests, migrated: str) -> str:
    return await postgres.fresh_database(migrated)


@pytest.fixture(scope="module")
async def remote(bucket: Bucket, dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    data = tmp_path_factory.mktemp("remote") / "data"
    async with running_server(data, dsn, delivery=CLEAR, **bucket.sections()) as server:
        yield server
    assert not (data / "blobs").exists()


async def posted(server: Server, path: str, **asked: Any) -> Any:
    answer = await server.call("POST", path, token=server.admin_token, json=asked)
    assert answer.status == 200, answer.body
    return answer.tree


async def small(server: Server) -> tuple[str, str]:
    """A name, and the blob behind it."""
    seed = next(_SEEDS)
    await server.put(f"/{seed}.dcm", made(pixels=300_000, seed=seed))
    async with server.house.database.acquire() as db:
        blob = await db.fetchval(
            "select p.blob from entries e join parts p on p.image = e.image"
            " where e.name = $1 and p.blob is not null",
            f"{seed}.dcm",
        )
    return f"/{seed}.dcm", blob.hex


async def test_views_and_their_ranges_are_served(remote: Server) -> None:
    await remote.put("/large.dcm", LARGE)
    token = await remote.token("ri", views=["identified"])
    url = (await remote.prepare("/@identified/large.dcm", token=token))["transferURL"]
    assert await remote.get(url) == LARGE
    assert await remote.get(url, Range="bytes=399000-9000000") == LARGE[399_000:9_000_001]
    several = await remote.call("GET", url, headers={"Range": "bytes=0-9,600000-1700000"})
    assert (several.status, LARGE[600_000:1_700_001] in several.body) == (206, True)
    line = await remote.prepare("/@identified/large.dcm", token=token, recipient=RECIPIENT)
    whole = await remote.get(line["transferURL"])
    assert len(whole) == line["fileSize"]
    assert unsealed(whole, PRIVATE) == LARGE
    assert await remote.get(line["transferURL"], Range="bytes=1000-9000000") == whole[1000:9_000_001]


async def test_what_is_removed_is_gone_with_all_versions_of_its_blobs(
    remote: Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, blob = await small(remote)
    # Somebody's backup has put it again, and servers died while they uploaded: more than a page tells.
    for _ in range(3):
        await bucket.do("PUT", f"blobs/{blob}", body=b"again")
        await bucket.do("POST", f"blobs/{blob}", {"uploads": ""})
    await bucket.do("DELETE", f"blobs/{blob}")
    assert (await bucket.objects()).count(blob) == 8
    ask = Requests.ask

    async def paged(self: Requests, method: str, key: str, query: dict[str, str], body: bytes = b"") -> Any:
        return await ask(self, method, key, query | {"max-keys": "2", "max-uploads": "2"}, body)

    with monkeypatch.context() as patch:
        patch.setattr(Requests, "ask", paged)
        await remote.srm("rm", surls=[name])
        await remote.house.sweeper.sweep()
    assert blob not in await bucket.objects()


async def test_fsck_finds_what_is_missing_changed_or_unknown(remote: Server, bucket: Bucket) -> None:
    before = await posted(remote, "/admin/v1/fsck")
    assert before["findings"] == []
    found = [await small(remote) for _ in range(3)]
    (_, lost), (_, short), (_, flipped) = found
    rotten = bytearray(await bucket.do("GET", f"blobs/{flipped}"))
    rotten[len(rotten) // 2] ^= 1
    await bucket.do("DELETE", f"blobs/{lost}")
    await bucket.do("PUT", f"blobs/{short}", body=b"short")
    await bucket.do("PUT", f"blobs/{'0' * 32}", body=b"whose?")
    await bucket.do("PUT", f"blobs/{flipped}", body=bytes(rotten))
    shallow = (await posted(remote, "/admin/v1/fsck"))["findings"]
    kinds = {one["blob"].replace("-", ""): one["kind"] for one in shallow}
    assert kinds == {lost: "missing", short: "wrong size", "0" * 32: "unknown file"}
    deep = await posted(remote, "/admin/v1/fsck/deep", repair=False, seconds=60)
    assert {one["names"][0] for one in deep["found"]} == {name for name, _ in found}
    await remote.srm("rm", surls=[name for name, _ in found])
    await bucket.requests.remove(f"blobs/{'0' * 32}")
    await remote.house.sweeper.sweep()
    assert (await posted(remote, "/admin/v1/fsck"))["findings"] == []


async def test_nodes_of_one_installation_share_a_bucket(
    remote: Server, bucket: Bucket, dsn: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        data = beside(remote.data, tmp_path / "two")
        two = await stack.enter_async_context(running_server(data, dsn, **bucket.sections()))
        name, _ = await small(remote)
        assert await two.read(name) == await remote.read(name)


async def test_the_space_is_not_known_and_uploads_are_taken(remote: Server) -> None:
    answer = await remote.call("GET", "/admin/v1/status", token=remote.admin_token)
    assert answer.tree["blobs"] == {"free": None}
    assert "blobs.reserve_free" not in str(answer.tree["limits"])


async def test_a_full_bucket_is_no_space(remote: Server, bucket: Bucket, ceph: Ceph) -> None:
    quota = ("--quota-scope", "user", "--uid", ceph.access_key)
    await ceph.admin("quota", "set", *quota, "--max-size", "1")
    await ceph.admin("quota", "enable", *quota)
    try:

        async def is_full() -> bool:
            prepared = await remote.srm("prepareToPut", files=[{"surl": f"/full{next(_SEEDS)}.dcm"}])
            body = made(pixels=300_000, seed=next(_SEEDS))
            answer = await remote.call("PUT", prepared["files"][0]["transferURL"], data=body)
            return answer.status == 507

        await until(is_full)
    finally:
        await ceph.admin("quota", "disable", *quota)


async def test_a_bucket_that_was_swapped_is_away_and_nothing_is_taken_for_deleted(
    remote: Server, bucket: Bucket
) -> None:
    name, blob = await small(remote)
    id_ = await bucket.do("GET", "blobs/store.id")
    sound = await bucket.do("GET", f"blobs/{blob}")
    await bucket.do("DELETE", "blobs/store.id")
    await bucket.do("DELETE", f"blobs/{blob}")
    url = (await remote.prepare(name))["transferURL"]
    answer = await remote.call("GET", url)
    assert answer.status == 503
    await bucket.do("PUT", "blobs/store.id", body=id_)
    await bucket.do("PUT", f"blobs/{blob}", body=sound)
    assert (await remote.call("GET", url)).status == 200
