"""Sealed transfers: what the reference tool makes of them, what our strict reader refuses, and sealed uploads."""

import base64
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from prometheus_client import REGISTRY

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import DataKey, EditList, Packet, open_header, seal_header
from mdm_async.crypt4gh.layout import packet_order
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, SEGMENT
from mdm_async.errors import BadSeal
from tests.conftest import Server
from tests.web.made_images import BLOB, INLINE, made
from tests.web.sealed.pulling import Pair, Pulled, reference

KINDS: dict[str, Callable[[], bytes]] = {
    "no pixels": lambda: made(pixels=None),
    "inline pixels": lambda: made(pixels=INLINE),
    "pixels in a blob": lambda: made(pixels=BLOB),
    "pixels of many segments": lambda: made(pixels=3_200_000),
    "pixels of whole segments": lambda: made(pixels=6 * SEGMENT - 12),
    "a head in a blob": lambda: made(pixels=INLINE, head=400_000),
    "head and pixels in blobs": lambda: made(pixels=BLOB, head=400_000),
    "a head in a blob, no pixels": lambda: made(pixels=None, head=400_000),
    "deflated": lambda: made(pixels=BLOB, deflated=True),
    "encapsulated": lambda: _shipped("MR_small_RLE.dcm"),
    "big endian": lambda: _shipped("MR_small_expb.dcm"),
}


@pytest.fixture(scope="module")
async def stored(server: Server) -> dict[str, str]:
    """One file of each kind, by its SURL."""
    directory = await server.directory()
    surls = {kind: f"{directory}/{kind.replace(' ', '-')}.dcm" for kind in KINDS}
    for kind, surl in surls.items():
        await server.put(surl, KINDS[kind]())
    return surls


async def pull(server: Server, surl: str, reader: Pair, *, view: str, token: str) -> Pulled:
    line = await server.prepare(surl, view=view, recipient=reader.recipient, token=token)
    answer = await server.call("GET", line["transferURL"])
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Digest"] == f"adler32={zlib.adler32(answer.body):08x}"
    assert (line["fileSize"], line["checkSumValue"]) == (
        len(answer.body),
        f"{zlib.adler32(answer.body):08x}",
    )
    return Pulled(line, answer.body, reader.private)


@pytest.mark.parametrize("view", ["basic", "identified"])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_reference_opens_it_and_finds_the_view(
    server: Server, stored: dict[str, str], reader: Pair, identity: str, kind: str, view: str
) -> None:
    pulled = await pull(server, stored[kind], reader, view=view, token=identity)
    plain = await reference("decrypt", "--sk", reader.secret_file, given=pulled.stream)
    if view == "identified":
        assert plain == KINDS[kind]()
    else:
        assert plain == await server.read(stored[kind])
    assert pulled.line["plainSize"] == len(plain)
    assert pulled.line["plainCheckSumType"] == "ADLER32"
    assert pulled.line["plainCheckSumValue"] == f"{zlib.adler32(plain):08x}"
    assert sum(part["plainSize"] for part in pulled.line["sealedParts"]) == len(plain)
    assert pulled.opened() == plain


async def test_no_pixel_is_decrypted(
    server: Server, stored: dict[str, str], reader: Pair, identity: str
) -> None:
    def decrypted() -> float:
        return REGISTRY.get_sample_value("mdm_segments_decrypted_total", {"kind": "pixels"}) or 0

    before = decrypted()
    for view in ("basic", "identified"):
        await pull(server, stored["pixels of many segments"], reader, view=view, token=identity)
    assert decrypted() == before
    await server.read(stored["pixels of many segments"])
    assert decrypted() > before


async def test_every_transfer_has_a_sender_and_nonces_of_its_own(
    server: Server, stored: dict[str, str], reader: Pair, identity: str
) -> None:
    surl = stored["inline pixels"]
    one, other = [await pull(server, surl, reader, view="basic", token=identity) for _ in range(2)]
    assert one.line["senderPublicKey"] != other.line["senderPublicKey"]
    prefixes = [part["noncePrefix"] for pulled in (one, other) for part in pulled.line["sealedParts"]]
    assert len(set(prefixes)) == len(prefixes)
    assert one.opened() == other.opened()


async def test_the_same_url_gives_the_same_bytes(
    server: Server, stored: dict[str, str], reader: Pair, identity: str
) -> None:
    for surl in stored.values():
        pulled = await pull(server, surl, reader, view="identified", token=identity)
        assert await server.get(pulled.line["transferURL"]) == pulled.stream


async def test_only_the_recipient_opens_it(
    server: Server, stored: dict[str, str], reader: Pair, identity: str
) -> None:
    pulled = await pull(server, stored["pixels in a blob"], reader, view="basic", token=identity)
    with pytest.raises(BadSeal):
        open_header(pulled.stream, recipient_private=new_private_key())


@pytest.fixture
async def pulled(server: Server, stored: dict[str, str], reader: Pair, identity: str) -> Pulled:
    """An identified transfer of three parts, the pixels of many segments."""
    return await pull(server, stored["pixels of many segments"], reader, view="identified", token=identity)


async def test_our_reader_opens_ranges(pulled: Pulled) -> None:
    plain, reader = pulled.opened(), pulled.strict_reader()
    reader.open_header(pulled.stream)
    for start, stop in [(0, 1), (6000, 6400), (100_000, 300_000), (len(plain) - 10, len(plain))]:
        first, last = reader.covering(start, stop)
        assert b"".join(reader.decrypt_range(start, stop, pulled.stream[first:last])) == plain[start:stop]


async def test_our_reader_refuses_the_header_of_another_transfer(
    server: Server, stored: dict[str, str], reader: Pair, identity: str, pulled: Pulled
) -> None:
    surl = stored["pixels of many segments"]
    other = await pull(server, surl, reader, view="identified", token=identity)
    size = pulled.strict_reader().layout.header_size
    with pytest.raises(BadSeal, match="another transfer"):
        pulled.opened(other.stream[:size] + pulled.stream[size:])


@pytest.mark.parametrize("spliced", [(0, 10), (0, 6000, 60_000, 3_000_000), None])
async def test_our_reader_refuses_another_edit_list(pulled: Pulled, spliced: tuple[int, ...] | None) -> None:
    """Even from the true sender: whoever held his key could not make it show other bytes."""
    header = open_header(pulled.stream, recipient_private=pulled.private)
    forger = new_private_key()
    packets: list[Packet] = [DataKey(key) for key in header.keys]
    if spliced is not None:
        packets.append(EditList(spliced))
    forged = seal_header(
        packets,
        sender_private=forger,
        recipient_public=public_key(pulled.private),
        nonces=[os.urandom(12) for _ in packets],
    )
    reader = pulled.strict_reader(sender_public=public_key(forger))
    with pytest.raises(BadSeal):
        reader.feed(forged + pulled.stream[header.size :])


def _segments(pulled: Pulled) -> tuple[bytes, list[bytes]]:
    size = pulled.strict_reader().layout.header_size
    body = pulled.stream[size:]
    return pulled.stream[:size], [body[i : i + CIPHER_SEGMENT] for i in range(0, len(body), CIPHER_SEGMENT)]


def swapped(segments: list[bytes]) -> list[bytes]:
    return [*segments[:5], segments[6], segments[5], *segments[7:]]


def repeated(segments: list[bytes]) -> list[bytes]:
    return [*segments[:6], segments[5], *segments[7:]]


def dropped(segments: list[bytes]) -> list[bytes]:
    return segments[:5] + segments[6:]


def truncated(segments: list[bytes]) -> list[bytes]:
    return segments[:-1]


def shortened(segments: list[bytes]) -> list[bytes]:
    return [*segments[:-1], segments[-1][:-1]]


def flipped(segments: list[bytes]) -> list[bytes]:
    changed = bytearray(segments[5])
    changed[30_000] ^= 1
    return [*segments[:5], bytes(changed), *segments[6:]]


@pytest.mark.parametrize(
    "tampered", [swapped, repeated, dropped, truncated, shortened, flipped], ids=lambda f: f.__name__
)
async def test_our_reader_refuses_a_stream_that_was_tampered_with(
    pulled: Pulled, tampered: Callable[[list[bytes]], list[bytes]]
) -> None:
    header, segments = _segments(pulled)
    with pytest.raises(BadSeal):
        pulled.opened(header + b"".join(tampered(segments)))


async def test_the_pixels_key_comes_first(pulled: Pulled) -> None:
    """Readers try keys in order, and most segments are pixels."""
    header, parts = open_header(pulled.stream, recipient_private=pulled.private), pulled.line["sealedParts"]
    assert len(header.keys) == len(parts) == 3
    assert packet_order(3)[0] == 1


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", base64.b64encode(bytes(33)).decode()])
async def test_a_recipient_that_is_no_key_is_refused(server: Server, ct: bytes, text: str) -> None:
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": "/x"}], recipient=text)
    assert tree["returnStatus"]["statusCode"] == "SRM_INVALID_REQUEST"
    assert text == "" or text not in str(tree)


async def test_a_recipient_of_low_order_is_refused(server: Server, stored: dict[str, str]) -> None:
    """Such a key would make a shared secret that everybody knows."""
    weak = base64.b64encode(bytes(32)).decode()
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": stored["no pixels"]}], recipient=weak)
    assert tree["returnStatus"]["statusCode"] == "SRM_INVALID_REQUEST"


def _shipped(name: str) -> bytes:
    path = Path(pydicom.data.__file__).parent / "test_files" / name
    return path.read_bytes()
