"""Metadata: what stands in images is foreign, and larger heads are gone through where nothing can come of it."""

import io
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from pydicom import dcmread

from mdm_async.dicom.json_model import MOST_ELEMENTS
from mdm_async.dicom.part10 import Kind
from mdm_async.images.studies import describe_jobs
from mdm_async.images.studies.describing import MOST_DESCRIBED, weight
from mdm_async.images.studies.known_pixels import KnownPixels
from tests.conftest import Server
from tests.web.dicomweb.conftest import image
from tests.web.dicomweb.test_retrieve import only


def with_windows(size: int, seed: int) -> bytes:
    """An image in implicit VR, in which a value may be long, whose window centers have so many bytes."""
    own = {"StudyInstanceUID": f"1.2.9.{seed}", "SeriesInstanceUID": f"1.2.9.{seed}.1"}
    data = dcmread(io.BytesIO(image(seed, **own)))
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    data.add_new(0x00281050, "DS", "1\\" * (size // 2))
    data.add_new(0x00281201, "OW", b"\1\2" * size)
    written = io.BytesIO()
    data.save_as(written, implicit_vr=True, little_endian=True)
    return written.getvalue()


async def test_large_heads_are_described_by_a_process_that_has_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, where = await only(server, with_windows(100_000, 9001))
    small, there = await only(server, with_windows(1_000, 9002))

    def here(*_: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(describe_jobs, "json_of", here)
        patched.setattr(describe_jobs, "bulk_of", here)
        (told,) = (await large.get(f"{where}/metadata")).tree
        assert len(told["00281050"]["Value"]) == 50_001
        value = told["00281201"]["BulkDataURI"]
        assert value.endswith(f"{where}/bulkdata/00281201")
        found = await large.get(f"{where}/bulkdata/00281201", Accept="application/octet-stream")
        assert found.body == b"\1\2" * 100_000
        assert (await large.get(f"{where}/bulkdata/00281202")).status == 404
        assert (await small.get(f"{there}/metadata")).status == 413
    assert (await small.get(f"{there}/metadata")).status == 200


async def test_an_image_that_says_too_much_is_not_told(server: Server) -> None:
    viewer, where = await only(server, with_windows(2 * MOST_ELEMENTS, 9003))
    refused = await viewer.get(f"{where}/metadata")
    assert (refused.status, refused.tree["remedy"]) == (413, "retrieve the instance")
    assert (await viewer.get(where)).status == 200


def test_what_describing_takes_is_weighed_by_all_that_it_reads() -> None:
    def of(**sizes: int) -> int:
        parts = [
            SimpleNamespace(row=SimpleNamespace(kind=kind), record=SimpleNamespace(size=size))
            for kind, size in sizes.items()
        ]
        view: Any = SimpleNamespace(parts=parts)
        return weight(view)

    kib = 1 << 10
    assert of(head=kib, pixels=1 << 30) == of(head=kib) < of(head=kib, pixels=1, tail=kib)
    # How many bytes a deflated one has shows only when it is inflated.
    assert of(**{Kind.ORIGINAL.value: kib}) == of(head=MOST_DESCRIBED)


def test_what_is_known_of_pixels_is_bounded() -> None:
    def view(number: int) -> Any:
        return SimpleNamespace(parts=[SimpleNamespace(row=SimpleNamespace(id=UUID(int=number)))])

    def tables(size: int) -> Any:
        return SimpleNamespace(extended=(bytes(size), bytes(size)))

    known = KnownPixels(1 << 20)
    for number in range(8):
        known.keep(view(number), tables(100 << 10))
        assert known.of(view(0)) is not None
    assert [number for number in range(8) if known.of(view(number)) is None] == [1, 2, 3]
    known.keep(view(9), tables(1 << 20))
    assert all(known.of(view(number)) is None for number in range(10))
    known.keep(view(0), tables(0))
    assert known.of(view(0)) is not None
