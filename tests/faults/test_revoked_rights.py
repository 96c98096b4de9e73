"""Rights taken away while a transfer runs: it ends, on every node of the same Postgres."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, running_server
from tests.faults.conditions import stored, until
from tests.faults.graced import Behind, behind_a_proxy
from tests.faults.transfers import LARGE, RECIPIENT, downloads, large, uploads
from tests.faults.wire import begun
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

READER = "user:reader"
GROUP = "group:local#/radiology"


@dataclass
class Site:
    """Two nodes on one Postgres and one blob directory, a file, and somebody who has rights by its ACL alone."""

    first: Server
    second: Server
    mapping: Path
    token: str
    folder: str

    @property
    def file(self) -> str:
        return f"{self.folder}/large.dcm"

    async def rule(self, kind: str, principal: str, rights: str, surl: str | None = None) -> None:
        await self.first.srm(
            "setPermission",
            surls=[surl or self.folder],
            permissionType=kind,
            rules=[{"principal": principal, "rights": rights}],
        )

    async def prepare(self, **options: Any) -> str:
        line = await self.first.prepare(self.file, token=self.token, **options)
        return str(line["transferURL"])

    def on(self, node: Server, url: str) -> str:
        return url.replace(self.first.url, node.url)


@pytest.fixture
async def site(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Site]:
    dsn = await postgres.fresh_database(migrated)
    mapping = tmp_path / "groups.toml"
    mapping.write_text(f'[groups]\nradiology = ["{READER}"]\n')
    identity = {"identity": {"mapping": mapping}, "blobs": {"shared": True}}
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_server(tmp_path / "first", dsn, **identity))
        (tmp_path / "second").mkdir(mode=0o700)
        shutil.copytree(tmp_path / "first" / "secrets", tmp_path / "second" / "secrets")
        (tmp_path / "second" / "blobs").symlink_to(tmp_path / "first" / "blobs")
        second = await stack.enter_async_context(running_server(tmp_path / "second", dsn, **identity))
        folder = await first.directory()
        found = Site(first, second, mapping, await first.token("", name="reader"), folder)
        await found.rule("ADD", "any:authenticated", "x", "/")
        await found.rule("SET", READER, "rlx")
        await first.put(found.file, large())
        yield found


Take = Callable[[Site], Awaitable[Any]]


async def take_r_away(site: Site) -> None:
    await site.rule("REMOVE", READER, "r")


async def bar_the_way(site: Site) -> None:
    """The right to read stays; the directory above cannot be traversed."""
    await site.rule("REMOVE", "any:authenticated", "x", "/")


async def give_the_file_an_acl_of_its_own(site: Site) -> None:
    await site.rule("SET", "user:somebody-else", "r", site.file)


async def seal_the_folder(site: Site) -> None:
    answer = await site.first.call(
        "PUT",
        "/admin/v1/delivery",
        token=site.first.admin_token,
        json={"surl": site.folder, "deidentified": "sealed"},
    )
    assert answer.status == 200


async def demand_cut(site: Site, node: Server, take: Take, url: str) -> None:
    """Begin to read slowly on a node, and take the right away."""
    async with begun("GET", site.on(node, url), buffer=8192) as client:
        assert (await client.head())[0] == 200
        await client.reader.readexactly(1 << 20)
        await until(lambda: downloads() == 1)
        await take(site)
        await until(lambda: downloads() == 0)
        assert (1 << 20) + len(await client.rest()) < LARGE


async def ended(node: Server, url: str) -> bool:
    return (await node.call("GET", url)).status == 410


@pytest.mark.parametrize("where", ["first", "second"])
@pytest.mark.parametrize(
    "take",
    [take_r_away, bar_the_way, give_the_file_an_acl_of_its_own, seal_the_folder],
    ids=lambda t: t.__name__,
)
async def test_a_running_download_ends_on_every_node(site: Site, take: Take, where: str) -> None:
    url, node = await site.prepare(), getattr(site, where)
    await demand_cut(site, node, take, url)
    for each in (site.first, site.second):
        await until(lambda each=each: ended(each, site.on(each, url)))


async def test_what_is_another_s_goes_on(site: Site) -> None:
    """The same file, in the same directory, by another right."""
    line = await site.first.prepare(site.file)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        await client.head()
        await client.reader.readexactly(1 << 20)
        url = await site.prepare()
        await take_r_away(site)
        await until(lambda: ended(site.first, url))
        assert downloads() == 1
        rest = await client.reader.readexactly(line["fileSize"] - (1 << 20))
    assert len(rest) > LARGE - (1 << 20)


async def test_a_right_that_is_given_back_serves_again(site: Site) -> None:
    """Nothing is held against anybody."""
    await demand_cut(site, site.second, take_r_away, await site.prepare())
    await site.rule("ADD", READER, "r")
    url = await site.prepare()
    assert (await site.second.call("GET", site.on(site.second, url))).status == 200


@pytest.mark.parametrize("where", ["first", "second"])
async def test_a_sealed_download_ends_too(site: Site, where: str) -> None:
    url = await site.prepare(recipient=RECIPIENT)
    await demand_cut(site, getattr(site, where), take_r_away, url)


@pytest.mark.parametrize("where", ["first", "second"])
async def test_who_leaves_a_group_loses_what_it_gave(site: Site, where: str) -> None:
    await site.rule("SET", GROUP, "rlx")
    url = await site.prepare()

    async def leave(_: Site) -> None:
        site.mapping.write_text('[groups]\nradiology = ["user:nobody"]\n')

    await demand_cut(site, getattr(site, where), leave, url)

    async def refused() -> bool:  # each node looks at the file by itself
        tree = await site.first.srm(
            "prepareToGet", token=site.token, expect=None, files=[{"surl": site.file}]
        )
        return bool(tree["files"][0]["status"]["statusCode"] != "SRM_FILE_PINNED")

    await until(refused)


@pytest.mark.parametrize("where", ["first", "second"])
async def test_a_running_upload_is_cut_and_gets_no_name(site: Site, where: str) -> None:
    await site.rule("SET", READER, "wlx")
    surl = f"{site.folder}/new.dcm"
    before = await stored(site.first)
    tree = await site.first.srm("prepareToPut", token=site.token, files=[{"surl": surl}])
    url = site.on(getattr(site, where), tree["files"][0]["transferURL"])
    async with begun("PUT", url, Content_Length=str(len(large()))) as client:
        await client.send(large()[: 3 << 20])
        await until(lambda: uploads() == 1)
        await site.rule("REMOVE", READER, "w")
        await until(lambda: uploads() == 0)
    await refused(site, tree["requestToken"], surl)
    await until(lambda: _is(site.first, before))


async def _is(server: Server, before: dict[str, int]) -> bool:
    return await stored(server) == before


async def refused(site: Site, request: str, surl: str) -> None:
    done = await site.first.srm("putDone", token=site.token, expect=None, requestToken=request, surls=[surl])
    assert done["files"][0]["status"]["statusCode"] not in ("SRM_SUCCESS", "SRM_DONE")
    found = await site.first.srm("ls", expect=404, surls=[surl])
    assert found["files"][0]["status"]["statusCode"] == "SRM_INVALID_PATH"


async def test_a_finished_upload_gets_no_name_without_the_right(site: Site) -> None:
    await site.rule("SET", READER, "wlx")
    surl = f"{site.folder}/new.dcm"
    tree = await site.first.srm("prepareToPut", token=site.token, files=[{"surl": surl}])
    assert (await site.first.call("PUT", tree["files"][0]["transferURL"], data=made())).status == 201
    await site.rule("REMOVE", READER, "w")
    await refused(site, tree["requestToken"], surl)


# While the database is away


@pytest.fixture
async def behind(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Behind]:
    async with behind_a_proxy(tmp_path / "data", await postgres.fresh_database(migrated)) as found:
        yield found


async def test_while_the_database_is_away_rights_stand_for_the_grace_and_no_longer(behind: Behind) -> None:
    server = behind.server
    folder = await server.directory()
    await server.put(f"{folder}/large.dcm", large())
    url = (await server.prepare(f"{folder}/large.dcm"))["transferURL"]
    async with begun("GET", url, buffer=8192) as client:
        await client.head()
        await client.reader.readexactly(1 << 20)
        behind.proxy.cut()
        for operation, body in (
            ("prepareToGet", {"files": [{"surl": f"{folder}/large.dcm"}]}),
            ("getPermission", {"surls": [folder]}),
            ("setPermission", {"surls": [folder], "inherit": True}),
            ("checkPermission", {"surls": [folder]}),
        ):
            await server.srm(operation, expect=503, **body)
        assert downloads() == 1
        behind.end_grace()
        await until(lambda: downloads() == 0)
        assert (1 << 20) + len(await client.rest()) < LARGE
    behind.restore()
    assert await server.read(f"{folder}/large.dcm")
