"""Who may write to the database moves or changes stored things: nothing of that opens or is served."""

import base64
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import Unavailable
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

RECIPIENT = base64.b64encode(public_key(new_private_key())).decode()

# Tampering with the database


@dataclass
class Pair:
    """Two images in one database that an attacker may write to."""

    server: Server
    surls: tuple[str, str]
    third: str
    identity: str

    async def execute(self, statement: str) -> None:
        async with self.server.house.database.acquire() as db:
            await db.execute(statement)

    async def prepared(self, **options: Any) -> list[dict[str, Any]]:
        tree = await self.server.srm(
            "prepareToGet",
            token=self.identity,
            expect=None,
            files=[{"surl": surl} for surl in (*self.surls, self.third)],
            **options,
        )
        return list(tree["files"])


@pytest.fixture(scope="module")
async def attacked(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("attacked") / "data", dsn) as server:
        yield server


@pytest.fixture
async def pair(attacked: Server) -> Pair:
    directory = await attacked.directory()
    surls = [f"{directory}/{name}.dcm" for name in ("one", "two", "third")]
    for seed, surl in enumerate(surls):
        await attacked.put(surl, made(pixels=300_000, seed=seed))
    found = Pair(
        attacked, (surls[0], surls[1]), surls[2], await attacked.token("ri", views=["*", "identified"])
    )
    await found.execute(
        "drop table if exists pair; create table pair as select image as id from entries"
        f" where name in ('one.dcm', 'two.dcm')"
        f" and parent = (select id from entries where name = '{directory.removeprefix('/')}')"
    )
    return found


def swapping(table: str, columns: str, key: str, match: str) -> str:
    """Give each of two images what the other one has in some columns."""
    taken = ", ".join(f"{column} = other.{column}" for column in columns.split())
    return (
        f"update {table} t set {taken} from (select * from {table} where {key} in (select id from pair)) other"
        f" where t.{key} in (select id from pair) and other.{key} <> t.{key} and {match}"
    )


@pytest.mark.parametrize("view", ["basic", "identified"])
@pytest.mark.parametrize(
    "statement",
    [
        swapping("mdm_keys.image_secrets", "wrapped", "image", "other.kind = t.kind"),
        "update mdm_keys.image_secrets a set wrapped = b.wrapped from mdm_keys.image_secrets b"
        " where a.image = b.image and a.kind <> b.kind and a.image in (select id from pair)",
        swapping("views", "record", "image", "other.name = t.name"),
        "update mdm_keys.image_secrets set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
        " where image in (select id from pair)",
        "update views set record = set_byte(record, 30, get_byte(record, 30) # 1)"
        " where image in (select id from pair)",
        "delete from mdm_keys.image_secrets where image in (select id from pair)",
        "update mdm_keys.image_secrets set epoch = 2 where image in (select id from pair)",
    ],
    ids=["secrets of two images", "secrets of two kinds", "records", "a bit of a secret", "a bit of a record",
         "no secrets", "another epoch"],
)  # fmt: skip
async def test_what_was_moved_or_changed_does_not_open(pair: Pair, statement: str, view: str) -> None:
    await pair.execute(statement)
    lines = await pair.prepared(view=view, recipient=RECIPIENT)
    assert [line["status"]["statusCode"] for line in lines] == ["SRM_FAILURE"] * 2 + ["SRM_FILE_PINNED"]
    answer = await pair.server.srm(
        "prepareToGet",
        token=pair.identity,
        expect=500,
        files=[{"surl": pair.surls[0]}],
        view=view,
        recipient=RECIPIENT,
    )
    assert "transferURL" not in str(answer)
    assert "damaged" in str(answer) or "do not open" in str(answer) or "does not open" in str(answer)


@pytest.mark.parametrize(
    "statement",
    [
        "alter table parts drop constraint if exists parts_blob_key;"
        + swapping("parts", "blob", "image", "other.kind = t.kind and other.secret = t.secret and t.blob is not null"),
        swapping("parts", "salt", "image", "other.kind = t.kind and other.secret = t.secret"),
        swapping(
            "parts", "inline", "image", "other.kind = t.kind and other.secret = t.secret and t.inline is not null"
        ),
        "update parts set inline = set_byte(inline, 40, get_byte(inline, 40) # 1) where inline is not null"
        " and image in (select id from pair)",
        "delete from parts where kind = 'head' and image in (select id from pair)",
    ],
    ids=["blobs", "salts", "inline parts", "a bit of an inline part", "no heads"],
)  # fmt: skip
async def test_parts_that_were_moved_or_changed_are_never_served(pair: Pair, statement: str) -> None:
    (line, *_) = await pair.prepared(view="basic")
    await pair.execute(statement)
    pair.server.cool()
    lines = await pair.prepared(view="basic", recipient=RECIPIENT)
    assert lines[2]["status"]["statusCode"] == "SRM_FILE_PINNED"
    if "blob" not in statement:
        # What is sealed on the spot is opened first; blobs go as they lie, and their reader finds out.
        assert [line["status"]["statusCode"] for line in lines[:2]] == ["SRM_FAILURE"] * 2
    answer = await pair.server.call("GET", line["transferURL"], headers={"Range": "bytes=100000-100100"})
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_transfers_secret_opens_for_its_own_grant_only(pair: Pair) -> None:
    one, other, _ = await pair.prepared(view="basic", recipient=RECIPIENT)
    await pair.execute(
        "update grants g set secret = o.secret from grants o"
        " where g.request = o.request and g.item <> o.item and g.item < 2 and o.item < 2"
    )
    pair.server.cool()
    for line in (one, other):
        assert (await pair.server.call("GET", line["transferURL"])).status == 503


async def test_a_grant_whose_recipient_was_changed_serves_nothing(pair: Pair) -> None:
    """The same seed for another recipient would repeat nonces: the stream is not made."""
    line, *_ = await pair.prepared(view="basic", recipient=RECIPIENT)
    await pair.execute(f"update grants set recipient = '\\x{public_key(new_private_key()).hex()}'")
    pair.server.cool()
    assert (await pair.server.call("GET", line["transferURL"])).status == 410


async def test_a_grant_turned_to_another_view_serves_nothing(pair: Pair) -> None:
    """A sealed transfer is bound to what it was made for."""
    line, *_ = await pair.prepared(view="basic", recipient=RECIPIENT)
    await pair.execute("update grants set view = 'identified', version = 'original'")
    pair.server.cool()
    assert (await pair.server.call("GET", line["transferURL"])).status == 410


async def test_a_database_made_with_another_key_is_not_served(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "one", dsn) as server:
        await server.directory()
    with pytest.raises(Unavailable, match="key-encryption key"):
        async with running_server(
            tmp_path / "other", dsn, keys={"kek": base64.b64encode(bytes(32)).decode()}
        ):
            pass


async def test_a_writer_cannot_try_whether_his_guess_is_the_stored_original(
    server: Server, ct: bytes
) -> None:
    """With the de-identified file, equality would tell name and birth date by trial."""
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    writer = await server.token("wlx", path=directory)
    prepared = await server.srm("prepareToPut", token=writer, files=[{"surl": surl}])
    await server.put(surl, ct)
    async with server.http.put(prepared["files"][0]["transferURL"], data=io.BytesIO(ct)) as answer:
        assert answer.status == 201
    done = await server.srm(
        "putDone", token=writer, expect=409, requestToken=prepared["requestToken"], surls=[surl]
    )
    assert done["files"][0]["status"]["statusCode"] == "SRM_DUPLICATION_ERROR"
