"""What is on the wire, apart from any connection: read by pynetdicom, and whatever bytes come, an error with a name."""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RP

from mdm_async.dicom.stored_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from mdm_async.pacs.dimse import commands, negotiation, pdus
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from tests.pacs.devices import CT, accepted, rejected, request, store_command

BODY = request()[6:]


def syntaxes(abstract: str) -> frozenset[str] | None:
    return TRANSFER_SYNTAXES if abstract in STORAGE_CLASSES else None


def split(sent: bytes) -> Iterator[bytes]:
    """PDUs."""
    while sent:
        end = 6 + int.from_bytes(sent[2:6])
        yield sent[:end]
        sent = sent[end:]


@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_broken(data: bytes) -> None:
    for body in (data, BODY[:68] + data):
        with suppress(Broken):
            negotiation.parse_titles(body)
            negotiation.parse_request(body)


@given(st.integers(0, len(BODY) - 1), st.integers(0, 255))
def test_a_request_with_one_wrong_byte_is_a_request_or_broken(at: int, byte: int) -> None:
    changed = bytearray(BODY)
    changed[at] = byte
    try:
        read = negotiation.parse_request(bytes(changed))
    except Broken:
        return
    answered = negotiation.answer(read, syntaxes)
    assert [one.id for one in answered] == [one.id for one in read.contexts]


@pytest.mark.parametrize("size", range(len(BODY)))
def test_a_request_that_is_cut_is_broken_or_has_fewer_items(size: int) -> None:
    try:
        read = negotiation.parse_request(BODY[:size])
    except Broken:
        return
    assert len(read.contexts) == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_broken(data: bytes) -> None:
    whole = store_command("1.2.3")
    for command in (data, whole[:12] + data, whole[: len(whole) // 2] + data):
        with suppress(Broken):
            commands.parse(command)


def test_an_answer_is_what_pynetdicom_reads() -> None:
    asked = request(
        contexts=[(CT, [ExplicitVRLittleEndian]), (CT, ["1.2.3"]), ("1.2.4", [ImplicitVRLittleEndian])]
    )
    read = negotiation.parse_request(asked[6:])
    assert read.longest == 16384
    answered = negotiation.answer(read, syntaxes)
    whole = negotiation.accept(asked[6:], answered, 1 << 17)
    assert accepted(whole[6:]) == {
        1: (0, ExplicitVRLittleEndian),
        3: (4, ImplicitVRLittleEndian),
        5: (3, ImplicitVRLittleEndian),
    }
    titles = negotiation.parse_titles(asked[6:])
    assert (titles.called, titles.calling) == ("MDM", "STORESCU")


def test_rejections_aborts_and_releases_are_what_pynetdicom_reads() -> None:
    for why in (pdus.UNKNOWN_CALLING, pdus.UNKNOWN_CALLED, pdus.LIMIT_REACHED):
        assert rejected(pdus.reject(why)[6:]) == tuple(why)
    ended = A_ABORT_RQ()
    ended.decode(pdus.abort(AbortReason.UNEXPECTED_PDU))
    assert (ended.source, ended.reason_diagnostic) == (2, 2)
    A_RELEASE_RP().decode(pdus.RELEASE_RP)


@pytest.mark.parametrize("longest", [0, 64, 200, 16384])
def test_a_command_is_cut_as_the_peer_says(longest: int) -> None:
    to = commands.parse(store_command("1.2.3.4"))
    whole = commands.response(to, 0xA700, "no\\space - größer " + "x" * 100)
    parts = list(split(pdus.command_data(5, whole, longest)))
    assert all(len(part) - 6 <= longest for part in parts) or not longest
    told = b""
    for number, part in enumerate(parts, 1):
        _, length, value, context, control = struct.unpack(">BxIIBB", part[:12])
        assert (length, value, context) == (len(part) - 6, len(part) - 10, 5)
        assert control == (3 if number == len(parts) else 1)
        told += part[12:]
    read = pydicom.dcmread(io.BytesIO(told), force=True)
    assert read[0x00000900].value == 0xA700
    assert read[0x00000120].value == 7
    assert read[0x00000100].value == 0x8001
    assert read[0x00001000].value == "1.2.3.4"
    assert read[0x00000902].value.startswith("no?space - gr??er xx")
    assert len(read[0x00000902].value) <= 64
    assert read[0x00000000].value == len(told) - 12
