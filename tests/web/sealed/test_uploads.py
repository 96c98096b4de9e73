"""Sealed uploads: opened by the key of their transfer URL alone, refused when anything is missing or changed."""

import base64
import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.keyfile import format_public_key
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT
from mdm_async.crypt4gh.stream import Sealer
from tests.conftest import Reply, Server
from tests.crypt4gh import foreign
from tests.web.made_images import BLOB, made
from tests.web.sealed.pulling import Pulled, reference


class Upload:
    """One sealed upload, step by step."""

    def __init__(self, server: Server, surl: str, prepared: dict[str, Any]) -> None:
        self.server, self.surl = server, surl
        self.request = prepared["requestToken"]
        self.url: str = prepared["files"][0]["transferURL"]
        self.recipient = base64.b64decode(prepared["files"][0]["uploadRecipient"])

    async def done(self, expect: int = 200, **of_file: Any) -> dict[str, Any]:
        files = [{"surl": self.surl} | of_file]
        return await self.server.srm("putDone", expect=expect, requestToken=self.request, files=files)

    async def is_visible(self) -> bool:
        tree = await self.server.srm("ls", expect=None, surls=[self.surl])
        return bool(tree["returnStatus"]["statusCode"] == "SRM_SUCCESS")


@pytest.fixture
async def upload(server: Server) -> Upload:
    surl = f"{await server.directory()}/up.dcm"
    return Upload(server, surl, await server.srm("prepareToPut", files=[{"surl": surl}]))


async def test_an_upload_sealed_by_the_reference_is_opened(
    server: Server, upload: Upload, tmp_path: Path
) -> None:
    data = made(pixels=BLOB, seed=1)
    key = tmp_path / "upload.pub"
    key.write_text(format_public_key(upload.recipient))
    stream = await reference("encrypt", "--recipient_pk", key, given=data)
    answer = await server.call("PUT", upload.url, data=stream)
    assert answer.status == 201
    assert answer.tree == {"size": len(data), "adler32": f"{zlib.adler32(data):08x}"}
    assert not await upload.is_visible()
    sha256 = hashlib.sha256(data).hexdigest()
    for wrong in (
        {},
        {"size": len(data)},
        {"sha256": sha256},
        {"size": len(data) + 1, "sha256": sha256},
        {"size": len(data), "sha256": hashlib.sha256(b"other").hexdigest()},
    ):
        tree = await upload.done(expect=400 if len(wrong) < 2 else 422, **wrong)
        assert tree["returnStatus"]["statusCode"] == "SRM_FAILURE"
        assert sha256 not in str(tree)
        assert not await upload.is_visible()
    await upload.done(size=len(data), sha256=sha256.upper())
    await upload.done(size=len(data), sha256=sha256)
    # What was recorded on its way opens no more: the upload's key is gone, and whoever repeats it is told.
    again = await server.call("PUT", upload.url, data=stream)
    assert (again.status, again.tree["detail"]) == (
        410,
        "putDone has been answered: nothing opens what is sealed for this upload any more",
    )
    identity = await server.token("ri", views=["*", "identified"])
    reader = new_private_key()
    line = await server.prepare(
        upload.surl,
        view="identified",
        token=identity,
        recipient=base64.b64encode(public_key(reader)).decode(),
    )
    assert Pulled(line, await server.get(line["transferURL"]), reader).opened() == data


def sealed(data: bytes, recipient: bytes) -> bytes:
    sealer = Sealer(recipient)
    return b"".join([sealer.header(), *sealer.feed(data), *sealer.close()])


async def test_every_upload_has_a_recipient_of_its_own(server: Server) -> None:
    directory = await server.directory()
    prepared = await server.srm(
        "prepareToPut", files=[{"surl": f"{directory}/{name}"} for name in ("a", "b")]
    )
    one, other = (file["uploadRecipient"] for file in prepared["files"])
    assert one != other


async def test_an_upload_sealed_to_another_recipient_is_refused(server: Server, upload: Upload) -> None:
    stream = sealed(made(pixels=BLOB, seed=2), public_key(new_private_key()))
    await _is_refused(server, upload, stream)


@pytest.mark.parametrize("place", [200, 5_000, 200_000, -1])
async def test_an_upload_with_a_flipped_bit_is_refused(server: Server, upload: Upload, place: int) -> None:
    stream = bytearray(sealed(made(pixels=BLOB, seed=3), upload.recipient))
    stream[place] ^= 1
    await _is_refused(server, upload, bytes(stream))


@pytest.mark.parametrize("left", [4, 12, 60, 150, 40_000, 200_000])
async def test_a_sealed_upload_that_ends_early_is_refused(server: Server, upload: Upload, left: int) -> None:
    await _is_refused(server, upload, sealed(made(pixels=BLOB, seed=4), upload.recipient)[:left])


async def test_a_sealed_upload_may_have_padding_foreign_packets_and_an_edit_list(
    server: Server, upload: Upload
) -> None:
    data, key = made(pixels=BLOB, seed=5), os.urandom(32)
    packets = [
        foreign.ZERO_WRITER,
        foreign.packet(foreign.data_key(key, after=bytes(50)), upload.recipient),
        foreign.packet(foreign.edit_list(9, 2 * len(data), after=bytes(3)), upload.recipient),
    ]
    stream = foreign.header(*packets) + foreign.segments(b"not these" + data, [key])
    answer = await server.call("PUT", upload.url, data=stream)
    assert answer.status == 201, answer.body
    await upload.done(size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("method", "lengths", "reason"),
    [
        (0, (), "edit list keeps no byte; seal the file without an edit list"),
        (0, (5, 0), "edit list keeps no byte"),
        (1, None, "chacha20_ietf_poly1305_with_AEAD (method 1), which is not supported"),
    ],
)
async def test_a_sealed_upload_that_holds_nothing_to_read_is_told_why(
    server: Server, upload: Upload, method: int, lengths: tuple[int, ...] | None, reason: str
) -> None:
    data, key = made(pixels=BLOB, seed=6), os.urandom(32)
    payloads = [foreign.data_key(key, method=method, after=bytes(8))]
    if lengths is not None:
        payloads.append(foreign.edit_list(*lengths))
    packets = [foreign.packet(payload, upload.recipient) for payload in payloads]
    answer = await _is_refused(server, upload, foreign.header(*packets) + foreign.segments(data, [key]))
    assert reason in answer.tree["detail"] + "; " + answer.tree.get("remedy", "")


async def _is_refused(server: Server, upload: Upload, stream: bytes) -> Reply:
    async def held() -> tuple[int, int]:
        files = sum(path.is_file() for path in (server.data / "blobs").glob("??/*"))
        async with server.house.database.acquire() as db:
            return files, await db.fetchval("select count(*) from images")

    before = await held()
    answer = await server.call("PUT", upload.url, data=stream)
    assert answer.status == 422, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await held() == before
    await upload.done(expect=410, size=1, sha256="0" * 64)
    assert not await upload.is_visible()
    return answer


async def test_a_segment_dropped_on_the_way_up_is_found_by_putdone(server: Server, upload: Upload) -> None:
    """Crypt4GH itself does not tell; size and SHA-256 over the authenticated channel do."""
    data = made(pixels=BLOB, seed=5)
    stream = sealed(data, upload.recipient)
    header = len(Sealer(upload.recipient).header())
    cut = stream[: header + CIPHER_SEGMENT] + stream[header + 2 * CIPHER_SEGMENT :]
    answer = await server.call("PUT", upload.url, data=cut)
    if answer.status == 201:
        await upload.done(expect=422, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert not await upload.is_visible()
