"""Whatever comes over an association, the server says why it ends it, and serves the next."""

import asyncio
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conditions import nothing_is_stored, until
from tests.pacs.devices import (
    Device,
    Image,
    Pacs,
    echo_command,
    image,
    p_data,
    pacs_server,
    request,
    store_command,
)
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

LARGE = Image(made(pixels=3_000_000, seed=31))
RELEASE, ABORT = struct.pack(">BxI4x", 5, 4), struct.pack(">BxI4x", 7, 4)


def header(kind: int, length: int) -> bytes:
    return struct.pack(">BxI", kind, length)


async def serves(pacs: Pacs) -> None:
    device = await (await pacs.connect()).associate()
    assert await device.store(image()) == 0
    await device.release()


async def serves_who_is_quick(pacs: Pacs) -> None:
    """A machine that stands still keeps a device from being that: then once more."""
    for _ in range(4):
        with suppress(AssertionError, ConnectionError):
            await serves(pacs)
            return
    await serves(pacs)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (p_data(1, 3, echo_command()), 2),
        (RELEASE, 2),
        (b"GET / HTTP/1.1\r\nHost: mdm\r\n\r\n", 2),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 2),
        (header(1, 1 << 31), 6),
        (header(1, 10) + bytes(10), 6),
        (request()[:80] + b"\xff" * (len(request()) - 80), 6),
        (request()[:80] + request()[80:].replace(b"\x20\0", b"\x21\0", 1), 6),
        (request().replace(struct.pack(">HI", 4, 16384), struct.pack(">HI", 4, 63)), 6),
    ],
    ids=["P-DATA", "A-RELEASE", "HTTP", "TLS", "endless", "short", "garbage", "no context", "hardly any PDU"],
)
async def test_something_else_than_an_association_at_first(pacs: Pacs, sent: bytes, reason: int) -> None:
    device = await pacs.connect()
    await device.send(sent)
    kind, body = await device.pdu()
    assert (kind, body[2:]) == (7, bytes((2, reason)))
    assert await device.reader.read() == b""
    await serves(pacs)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (header(9, 4) + bytes(4), 1),
        (request(), 2),
        (header(4, 0xFFFFFFFF), 6),
        (header(4, (128 << 10) + 1), 6),
        (header(4, 2) + bytes(2), 6),
        (header(4, 8) + struct.pack(">IBB", 100, 1, 3) + bytes(2), 6),
        (header(4, 8) + struct.pack(">IBB", 1, 1, 3) + bytes(2), 6),
        (header(4, 9) + struct.pack(">IBB", 2, 1, 1) + bytes(3), 6),
        (p_data(1, 2, b"data first"), 5),
        (p_data(3, 3, echo_command()), 6),
        (p_data(1, 3, b"\xff" * 40), 6),
        (p_data(1, 3, b""), 6),
        (p_data(1, 1, b"\0" * 20_000), 6),
        (p_data(1, 1, b"\0") * 65, 6),
        (p_data(1, 1, b""), 6),
        (p_data(1, 3, store_command("1.2.3")) + p_data(1, 0, b""), 6),
        (p_data(1, 3, store_command("1" * 65)), 6),
        (p_data(1, 3, store_command("1.2.3", "1" * 65)), 6),
        (p_data(1, 1, echo_command()[:20]) + p_data(3, 3, echo_command()[20:]), 5),
        (p_data(1, 3, store_command("1.2.3")) + p_data(1, 3, echo_command()), 5),
        (p_data(1, 3, store_command("1.2.3")) + p_data(3, 2, b"abc"), 5),
        (p_data(1, 3, store_command("1.2.3")) + request(), 2),
    ],
    ids=[
        "unknown PDU",
        "second request",
        "endless PDU",
        "PDU over the agreed length",
        "PDU shorter than a header",
        "PDV longer than its PDU",
        "PDV shorter than its head",
        "PDU that ends in a header",
        "data set without a command",
        "context that was not accepted",
        "garbage as a command",
        "empty command",
        "endless command",
        "command in crumbs",
        "command in nothing",
        "data set in nothing",
        "instance that is too long",
        "class that is too long",
        "command over two contexts",
        "command inside a data set",
        "data set over two contexts",
        "request inside a data set",
    ],
)
async def test_what_breaks_the_protocol_ends_the_association(pacs: Pacs, sent: bytes, reason: int) -> None:
    before = await pacs.names()
    device = await (await pacs.connect()).associate()
    await device.send(sent)
    kind, body = await device.pdu()
    assert (kind, body[2:]) == (7, bytes((2, reason)))
    assert await device.reader.read() == b""
    assert await pacs.names() == before
    await serves(pacs)


async def cut(device: Device) -> None:
    device.close()


async def abort(device: Device) -> None:
    await device.send(ABORT)


async def release(device: Device) -> None:
    await device.send(RELEASE)


@pytest.mark.parametrize("end", [cut, abort, release])
@pytest.mark.parametrize("sent", [100, 70_000, 1_500_000, 2_999_999])
async def test_half_a_data_set_leaves_nothing(
    postgres: PostgresForTests,
    migrated: str,
    tmp_path: Path,
    end: Callable[[Device], object],
    sent: int,
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn) as pacs:
        device = await (await pacs.connect()).associate()
        await device.send(p_data(1, 3, store_command(LARGE.instance)))
        await device.send_data_set(LARGE.data_set[:sent], whole=False)
        await end(device)  # type: ignore[misc]
        await until(lambda: nothing_is_stored(pacs.server))
        await until(lambda: not pacs.server.house.admission.receiving)
        assert await pacs.names() == []
        device = await (await pacs.connect()).associate()
        assert await device.store(LARGE) == 0


async def test_an_abort_in_the_middle_of_a_pdu(pacs: Pacs) -> None:
    before = await pacs.names()
    for size in (3, 6, 9, 12, 500, 20_000):
        device = await (await pacs.connect()).associate()
        await device.send((p_data(1, 3, store_command("1.2.3")) + p_data(1, 0, bytes(30_000)))[:size])
        device.close()
    assert await pacs.names() == before
    await serves(pacs)


async def test_pdvs_of_any_size_are_one_data_set(pacs: Pacs) -> None:
    before, pushed = await pacs.names(), image()
    chance = random.Random(1)
    sent = [p_data(1, 1, part) for part in (store_command(pushed.instance)[:9],)]
    sent.append(p_data(1, 3, store_command(pushed.instance)[9:]))
    data, at = pushed.data_set, 0
    while at < len(data):
        size = chance.choice((1, 2, 7, 1000, 5000))
        pdvs = b""
        for _ in range(3 if len(data) - at >= 3 * size else 1):
            part, at = data[at : at + size], at + len(data[at : at + size])
            pdvs += struct.pack(">IBB", len(part) + 2, 1, 0) + part
        sent.append(header(4, len(pdvs)) + pdvs)
    sent.append(p_data(1, 2, b""))
    device = await (await pacs.connect()).associate()
    whole = b"".join(sent)
    for start in range(0, len(whole), 997):
        await device.send(whole[start : start + 997])
    assert await device.status() == 0
    kept = await pacs.identified(await pacs.new_name(before))
    assert kept.endswith(pushed.data_set)


async def test_random_bytes_in_a_request_never_hurt(pacs: Pacs) -> None:
    chance = random.Random(2)
    whole = request()
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(74, len(whole))] = chance.randrange(256)
        device = await pacs.connect()
        await device.send(bytes(broken))
        device.writer.write_eof()
        kind, _ = await device.pdu()
        assert kind in (2, 3, 7, 0)
        device.close()
    await serves(pacs)


async def test_silence_ends(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> None:
    dsn = await postgres.fresh_database(migrated)
    own = {"head_seconds": 2, "idle_seconds": 2}
    async with pacs_server(tmp_path / "data", dsn, pacs=own) as pacs:
        mute = await pacs.connect()
        slow = await pacs.connect()
        await slow.send(request()[:40])
        idle = await (await pacs.connect()).associate()
        stuck = await (await pacs.connect()).associate(ae="OTHER")
        await stuck.send(p_data(1, 3, store_command(LARGE.instance)))
        await stuck.send_data_set(LARGE.data_set[:100_000], whole=False)
        assert (await mute.pdu())[0] == 0
        for device in (slow, idle, stuck):
            assert (await device.pdu())[0] == 7
        await until(lambda: nothing_is_stored(pacs.server))
        await serves_who_is_quick(pacs)


async def test_a_request_that_does_not_end_is_not_waited_for(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"head_seconds": 0.3}) as pacs:
        device = await pacs.connect()
        await device.send(request()[:-1])
        assert (await device.pdu())[0] == 7
        await serves_who_is_quick(pacs)


async def test_who_trickles_is_cut(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, limits={"pace_seconds": 1}) as pacs:
        device = await (await pacs.connect()).associate()
        await device.send(p_data(1, 3, store_command(LARGE.instance)))

        async def trickle() -> None:
            while True:
                await device.send(p_data(1, 0, b"x"))
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(trickle())
        assert (await device.pdu())[0] in (7, 0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await serves_who_is_quick(pacs)


async def test_two_hundred_idle_associations_keep_nobody_out(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"associations": 280}) as pacs:
        idle = [await (await pacs.connect()).associate(ae="OTHER") for _ in range(200)]
        await serves(pacs)
        answer = await pacs.server.call("GET", "/metrics", token=pacs.server.admin_token)
        assert "mdm_pacs_associations 20" in answer.body.decode()
        for device in idle:
            device.close()
        await until(lambda: pacs.server.house.near and open_now(pacs) == 0)


def open_now(pacs: Pacs) -> int:
    near = [one for near in pacs.server.house.near for one in near()]
    return next(one.used for one in near if one.setting == "pacs.associations")


async def test_connections_beyond_all_limits_are_closed(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"associations": 1, "head_seconds": 0.5}) as pacs:
        crowd = [await pacs.connect() for _ in range(60)]
        closed = await asyncio.gather(*(device.pdu() for device in crowd))
        assert {kind for kind, _ in closed} <= {0, 7}
        await serves_who_is_quick(pacs)
