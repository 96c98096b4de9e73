"""Both ways with the reference implementation: the `crypt4gh` and `crypt4gh-keygen` commands, by subprocess."""

import base64
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from crypt4gh.keys import c4gh as reference_keys

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import DataKey, EditList, Packet, open_header, seal_header
from mdm_async.crypt4gh.keyfile import (
    format_private_key,
    format_public_key,
    needs_passphrase,
    parse_private_key,
    parse_public_key,
)
from mdm_async.crypt4gh.layout import SealedLayout, SealedPart, packet_order
from mdm_async.crypt4gh.segment import SEGMENT, SegmentKey
from mdm_async.crypt4gh.stream import Sealer, Unsealer
from mdm_async.errors import BadSeal
from tests.crypt4gh import foreign

MAIN = "import sys; from crypt4gh.__main__ import main; main(sys.argv[1:])"
KEYGEN = "from crypt4gh.keys.__main__ import main; main()"
LAYOUTS = [
    (0,),
    (1,),
    (65535,),
    (65536,),
    (65537,),
    (0, 0),
    (0, 65537),
    (1, 0),
    (10, 65536),
    (65536, 65536),
    (65535, 65537),
    (0, 0, 0),
    (1, 1, 1),
    (10, 65537, 0),
    (0, 200_000, 1),
    (65536, 65536, 65536),
    (70_000, 1_300_000, 5),
    (65537, 65536, 65535),
]


@dataclass(frozen=True)
class Pair:
    """A key pair in files, for the commands."""

    private: bytes
    secret_file: Path
    public_file: Path

    @property
    def public(self) -> bytes:
        return public_key(self.private)


def make_pair(folder: Path, name: str) -> Pair:
    pair = Pair(new_private_key(), folder / name, folder / f"{name}.pub")
    pair.secret_file.write_text(format_private_key(pair.private))
    pair.public_file.write_text(format_public_key(pair.public))
    return pair


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("keys"), "reader")


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("keys"), "sender")


def crypt4gh(*arguments: str | Path, given: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-W", "ignore", "-c", MAIN, *map(str, arguments)]
    return subprocess.run(
        command, input=given, capture_output=True, check=False, env=os.environ | environment
    )


def decrypted(stream: bytes, *arguments: str | Path) -> bytes:
    done = crypt4gh("decrypt", *arguments, given=stream)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unsealed(stream: bytes, private: bytes) -> bytes:
    reader = Unsealer(private)
    return b"".join([*reader.feed(stream), *reader.close()])


def transfer(
    sizes: tuple[int, ...], reader: Pair, sender: Pair, *, padded: bool = False
) -> tuple[bytes, bytes]:
    """A sealed transfer of parts with these sizes: its plaintext and its stream."""
    parts = [os.urandom(size) for size in sizes]
    keys = [os.urandom(32) for _ in sizes]
    layout = SealedLayout([SealedPart(size, os.urandom(7), padded) for size in sizes])
    packets: list[Packet] = [DataKey(keys[part]) for part in packet_order(len(sizes))]
    if layout.edit_list is not None:
        packets.append(EditList(layout.edit_list))
    stream = seal_header(
        packets,
        sender_private=sender.private,
        recipient_public=reader.public,
        nonces=[os.urandom(12) for _ in packets],
    )
    for part, plain in enumerate(parts):
        key = SegmentKey(keys[part], layout.parts[part].prefix)
        stream += key.encrypt_run(plain.ljust(layout.sealed_sizes[part], b"\0"), 0, final=True)
    assert len(stream) == layout.stream_size
    return b"".join(parts), stream


@pytest.mark.parametrize("sizes", LAYOUTS)
def test_the_reference_decrypts_a_sealed_transfer(sizes: tuple[int, ...], reader: Pair, sender: Pair) -> None:
    plain, stream = transfer(sizes, reader, sender)
    assert decrypted(stream, "--sk", reader.secret_file) == plain
    assert unsealed(stream, reader.private) == plain


@pytest.mark.parametrize("sizes", [(10,), (10, 20), (10, 65536), (10, 20, 30), (10, 20, 0)])
def test_the_reference_drops_padding_at_the_end(sizes: tuple[int, ...], reader: Pair, sender: Pair) -> None:
    plain, stream = transfer(sizes, reader, sender, padded=True)
    assert decrypted(stream, "--sk", reader.secret_file) == plain
    assert unsealed(stream, reader.private) == plain


def test_the_reference_pins_the_sender(reader: Pair, sender: Pair) -> None:
    plain, stream = transfer((10, 70_000, 3), reader, sender)
    pinned = decrypted(stream, "--sk", reader.secret_file, "--sender_pk", sender.public_file)
    assert pinned == plain
    refused = crypt4gh("decrypt", "--sk", reader.secret_file, "--sender_pk", reader.public_file, given=stream)
    assert refused.returncode != 0
    assert refused.stdout == b""


@pytest.mark.parametrize(("start", "stop"), [(5, 20), (10, 65_600), (70_005, 200_000), (0, 100)])
def test_the_reference_reads_ranges_across_parts(start: int, stop: int, reader: Pair, sender: Pair) -> None:
    plain, stream = transfer((10, 70_000, 200_000), reader, sender)
    # The reference's range stops one byte before the end it is given.
    ranged = decrypted(stream, "--sk", reader.secret_file, "--range", f"{start}-{stop + 1}")
    assert ranged == plain[start:stop]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1_200_000])
def test_what_either_seals_the_other_opens(size: int, reader: Pair) -> None:
    plain = os.urandom(size)
    theirs = crypt4gh("encrypt", "--recipient_pk", reader.public_file, given=plain)
    assert theirs.returncode == 0, theirs.stderr
    assert unsealed(theirs.stdout, reader.private) == plain
    writer = Sealer(reader.public)
    ours = b"".join([writer.header(), *writer.feed(plain), *writer.close()])
    assert decrypted(ours, "--sk", reader.secret_file) == plain


def test_a_stream_for_two_recipients_opens_for_each(reader: Pair, sender: Pair) -> None:
    sealed = crypt4gh(
        "encrypt",
        *("--sk", sender.secret_file),
        *("--recipient_pk", reader.public_file, "--recipient_pk", sender.public_file),
        given=b"for both",
    ).stdout
    assert unsealed(sealed, reader.private) == unsealed(sealed, sender.private) == b"for both"
    with pytest.raises(BadSeal):
        open_header(sealed, recipient_private=reader.private, expected_sender=sender.public)


def test_an_edit_list_made_by_the_reference_is_applied(reader: Pair) -> None:
    plain = os.urandom(3 * SEGMENT)
    sealed = crypt4gh("encrypt", "--recipient_pk", reader.public_file, given=plain).stdout
    cut = crypt4gh("rearrange", "--sk", reader.secret_file, "--range", "70000-140001", given=sealed)
    assert cut.returncode == 0, cut.stderr
    assert open_header(cut.stdout, recipient_private=reader.private).edit_list == (70_000 - SEGMENT, 70_000)
    assert unsealed(cut.stdout, reader.private) == plain[70_000:140_000]


@pytest.mark.parametrize("after", [b"", bytes(40)])
def test_a_last_keep_past_the_end_is_read_as_the_reference_reads_it(reader: Pair, after: bytes) -> None:
    plain, key = os.urandom(SEGMENT + 5), os.urandom(32)
    payloads = [foreign.edit_list(0, 10, 20, 2 * SEGMENT, after=after), foreign.data_key(key)]
    packets = [foreign.packet(payload, reader.public) for payload in payloads]
    stream = foreign.header(*packets) + foreign.segments(plain, [key])
    assert decrypted(stream, "--sk", reader.secret_file) == plain[:10] + plain[30:]
    assert unsealed(stream, reader.private) == plain[:10] + plain[30:]


def test_key_files_of_the_reference_are_read(tmp_path: Path) -> None:
    secret, public = tmp_path / "key", tmp_path / "key.pub"
    command = [sys.executable, "-W", "ignore", "-c", KEYGEN, "--nocrypt", "--sk", secret, "--pk", public]
    subprocess.run([*map(str, command), "-C", "me"], check=True, capture_output=True)
    private = parse_private_key(secret.read_bytes())
    assert not needs_passphrase(secret.read_bytes())
    assert parse_public_key(public.read_bytes()) == public_key(private)


def test_a_locked_key_file_of_the_reference_is_read() -> None:
    private = new_private_key()
    content = base64.b64encode(reference_keys.encode_private_key(private, "påss".encode(), b"me")).decode()
    text = f"-----BEGIN CRYPT4GH PRIVATE KEY-----\n{content}\n-----END CRYPT4GH PRIVATE KEY-----\n"
    assert needs_passphrase(text)
    assert parse_private_key(text, "påss") == private


def test_the_reference_reads_a_locked_key_file_of_ours(tmp_path: Path, sender: Pair) -> None:
    private = new_private_key()
    locked = tmp_path / "locked"
    locked.write_text(format_private_key(private, "påss", comment="me"))
    writer = Sealer(public_key(private))
    stream = b"".join([writer.header(), *writer.feed(b"hello"), *writer.close()])
    done = crypt4gh("decrypt", "--sk", locked, given=stream, C4GH_PASSPHRASE="påss")
    assert done.stdout == b"hello", done.stderr
