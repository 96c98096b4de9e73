"""What the tests share: one Postgres, a database a server, a running server in this process, real DICOM files."""

import asyncio
import gc
import io
import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import orjson
import pydicom.data
import pytest
import uvloop
from multidict import CIMultiDictProxy

from mdm_async import held
from mdm_async.app import running
from mdm_async.images.upkeep.days import keep_days
from mdm_async.postgres.database import Database, connect
from mdm_async.postgres.migrate import migrate
from mdm_async.settings import load
from mdm_async.web.http.house import House
from tests.longest import longest_first
from tests.patience import PATIENT, patient_parts
from tests.postgres.for_tests import PostgresForTests, postgres_for_tests

CI = bool(os.environ.get("CI"))
hypothesis.settings.register_profile(
    "patient",
    hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]),
)
hypothesis.settings.load_profile("patient")


_held_while_waiting: list[str] = []
_TAKING_UP_THE_STORE = "claim_store"
"""Once, when a server starts and serves nobody."""


def _note_waiting(what: str) -> None:
    """Only of what the server does by itself: tests may hold a connection while they call its parts."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_stack()]
    if not any("/tests/" in frame for frame in frames) and _TAKING_UP_THE_STORE not in "".join(frames):
        ours = [frame.rpartition("mdm_async/")[2] for frame in frames if "mdm_async/" in frame]
        _held_while_waiting.append(f"{what}: {' < '.join(reversed(ours[:-1]))}")


held.on_waiting = _note_waiting


@pytest.fixture(autouse=True)
def no_connection_is_held_while_something_slow_is_waited_for() -> Iterator[None]:
    _held_while_waiting.clear()
    yield
    assert _held_while_waiting == []


@pytest.fixture(scope="session", autouse=True)
def all_are_patient() -> Iterator[None]:
    with patient_parts():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


def pytest_collection_finish() -> None:
    """What was collected stays until the end: thousands of tests, which no search for garbage need look at again."""
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


_postgres: list[PostgresForTests] = []
"""The one of this session, once a test wants it."""


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresForTests]:
    async with postgres_for_tests() as server:
        _postgres.append(server)
        yield server
        _postgres.clear()


@pytest.fixture(autouse=True)
def databases_go_with_the_test_that_made_them() -> Iterator[None]:
    """Not those of fixtures that other tests use too: they are made before."""
    with ExitStack() as stack:
        for server in _postgres:
            stack.enter_context(server.for_now())
        yield


@pytest.fixture(scope="session")
async def migrated(postgres: PostgresForTests) -> str:
    """A migrated database, with partitions for the days to come, to be copied by the servers of tests."""
    dsn = await postgres.fresh_database()
    async with connect(dsn) as connection:
        await migrate(connection, "mdm_async.catalog")
        await migrate(connection, "mdm_async.keys")
    async with Database.connect(dsn, pool_size=1) as database:
        await keep_days(database)
    return dsn


@dataclass(frozen=True)
class Reply:
    """An answer that was read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def tree(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Server:
    """A running server of this process, and the means to talk to it as its administrator."""

    house: House
    data: Path
    dsn: str
    url: str
    admin_token: str
    http: aiohttp.ClientSession

    async def srm(
        self, operation: str, *, token: str | None = None, expect: int | None = 200, **body: Any
    ) -> dict[str, Any]:
        """One SRM call; its tree. `expect`: the HTTP status it must have (None: any)."""
        headers = {"Authorization": f"Bearer {token or self.admin_token}"}
        async with self.http.post(f"{self.url}/srm/v2/{operation}", json=body, headers=headers) as answer:
            tree: dict[str, Any] = await answer.json()
            assert expect is None or answer.status == expect, (answer.status, tree)
            return tree

    async def call(self, method: str, target: str, *, token: str | None = None, **options: Any) -> Reply:
        """Any request to a path or URL, with the bearer token if one is given."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if isinstance(options.get("data"), bytes):
            options["data"] = io.BytesIO(options["data"])
        url = target if "://" in target else self.url + target
        async with self.http.request(method, url, headers=headers, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def token(
        self, rights: str, path: str = "/", views: list[str] | None = None, name: str | None = None
    ) -> str:
        """A new local token."""
        body: dict[str, Any] = {"name": name or f"t{os.urandom(4).hex()}", "rights": rights, "path": path}
        if views is not None:
            body["views"] = views
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        async with self.http.post(f"{self.url}/admin/v1/tokens", json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["token"])

    async def directory(self) -> str:
        """A new directory of the test's own."""
        path = f"/d{os.urandom(6).hex()}"
        await self.srm("mkdir", surl=path)
        return path

    async def put(self, surl: str, data: bytes, **options: Any) -> dict[str, Any]:
        """The whole of an upload, which must succeed; putDone's line for the file."""
        prepared = await self.srm("prepareToPut", files=[{"surl": surl}], **options)
        async with self.http.put(prepared["files"][0]["transferURL"], data=io.BytesIO(data)) as answer:
            assert answer.status == 201, await answer.text()
        shown = {"token": options["token"]} if "token" in options else {}
        done = await self.srm("putDone", requestToken=prepared["requestToken"], surls=[surl], **shown)
        line: dict[str, Any] = done["files"][0]
        return line

    async def prepare(self, surl: str, **options: Any) -> dict[str, Any]:
        """The prepared file's line; it must succeed."""
        tree = await self.srm("prepareToGet", files=[{"surl": surl}], **options)
        line: dict[str, Any] = tree["files"][0]
        return line | {"requestToken": tree["requestToken"]}

    async def get(self, url: str, **headers: str) -> bytes:
        async with self.http.get(url, headers=headers) as answer:
            assert answer.status in (200, 206), (answer.status, await answer.text())
            return await answer.read()

    def cool(self) -> None:
        """Forget what is warm, as another node would not know it."""
        self.house.warm.forget()

    async def read(self, surl: str, **options: Any) -> bytes:
        """Prepare and get the whole."""
        return await self.get((await self.prepare(surl, **options))["transferURL"])


@asynccontextmanager
async def running_server(data: Path, dsn: str, **sections: dict[str, Any]) -> AsyncIterator[Server]:
    """A server on its own data directory and database; `sections` override settings."""
    overrides: dict[str, Any] = {"data": data, "server": {"port": 0, "tls_port": 0, "drain_seconds": 5}}
    overrides["database"] = {"dsn": dsn, "pool": 8}
    for part in (PATIENT, sections):
        for name, section in part.items():
            overrides[name] = overrides.get(name, {}) | section
    overrides.setdefault("blobs", {}).setdefault("reserve_free", 0)
    # All tests come from one address, thousands of them without a credential.
    overrides.setdefault("limits", {}).setdefault("anonymous_rate", 0)
    # And one administrator tries all the names that tell who a patient is.
    overrides.setdefault("naming", {}).setdefault("refused", 0)
    settings = load(overrides=overrides)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(running(settings))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        )
        token = (data / "secrets" / "admin.token").read_text().strip()
        yield Server(house, data, dsn, f"http://127.0.0.1:{house.port}", token, http)


@pytest.fixture(scope="session")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """One server for all tests that leave it as it was: each works in a directory of its own."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("server") / "data", dsn) as running_:
        yield running_


@pytest.fixture
async def own_server(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A server that only this test uses."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn) as running_:
        yield running_


def dicom_files() -> list[Path]:
    """Every DICOM file that pydicom ships."""
    root = Path(pydicom.data.__file__).parent
    return sorted(p for p in root.rglob("*") if p.is_file() and p.read_bytes()[128:132] == b"DICM")


@pytest.fixture(scope="session")
def ct() -> bytes:
    """A CT image whose basic view is ready, with elements after its pixels."""
    return (Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm").read_bytes()
