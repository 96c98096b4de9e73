"""Accept headers as real viewers send them, each served with the right type; and refusals, which say what there is."""

import pytest

from mdm_async.errors import NotAcceptable
from mdm_async.web.dicomweb.accept import (
    BYTES,
    DICOM,
    EXPLICIT,
    IMPLICIT,
    Chosen,
    demand_json,
    of_bulk,
    of_frames,
    of_instances,
    parse,
)

JPEG, J2K, JLS, RLE, BIG = (f"1.2.840.10008.1.2.{end}" for end in ("4.50", "4.90", "4.80", "5", "2"))

FRAMES = [
    # OHIF and cornerstone, by their versions; dicomweb-client of Python and of JavaScript; dcmjs; weasis; Slim.
    ("multipart/related; type=application/octet-stream; transfer-syntax=*", JPEG, BYTES, JPEG),
    ('multipart/related; type="application/octet-stream"; transfer-syntax=*', EXPLICIT, BYTES, EXPLICIT),
    ('multipart/related; type="application/octet-stream"; transfer-syntax="*"', J2K, BYTES, J2K),
    ('multipart/related; type="application/octet-stream; transfer-syntax=*"', JPEG, BYTES, JPEG),
    ("multipart/related; type=application/octet-stream; transfer-syntax=*; transfer-syntax=*", J2K, BYTES, J2K),
    ("multipart/related;type=image/jpeg;transfer-syntax=1.2.840.10008.1.2.4.50", JPEG, "image/jpeg", JPEG),
    ('multipart/related; type="image/jpeg", transfer-syntax=1.2.840.10008.1.2.4.50', JPEG, "image/jpeg", JPEG),
    (
        'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80,'
        ' multipart/related; type="application/octet-stream"; transfer-syntax="1.2.840.10008.1.2.1"',
        EXPLICIT, BYTES, EXPLICIT,
    ),
    (
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1,'
        ' multipart/related; type="image/jls"; transfer-syntax=*',
        JLS, "image/jls", JLS,
    ),
    ('multipart/related; type="image/jls"; q=1, multipart/related; type="application/octet-stream"; q=.4', JLS,
     "image/jls", JLS),
    ('multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90', J2K, "image/jp2", J2K),
    ('multipart/related; type="image/x-dicom-rle"', RLE, "image/dicom-rle", RLE),
    ('multipart/related; type="image/*"; transfer-syntax=*', JPEG, "image/jpeg", JPEG),
    ('multipart/related; type="image/"', JPEG, "image/jpeg", JPEG),
    ('multipart/related; type="*/*"', JPEG, "image/jpeg", JPEG),
    ("multipart/related", IMPLICIT, BYTES, EXPLICIT),
    ("MULTIPART/Related; Type='application/octet-stream'", IMPLICIT, BYTES, EXPLICIT),
    ('multipart/related; type="application/octet-stream', EXPLICIT, BYTES, EXPLICIT),
    ("*/*", J2K, "image/jp2", J2K),
    ("*/*", BIG, BYTES, EXPLICIT),
    ('multipart/related; type="application/octet-stream"', BIG, BYTES, EXPLICIT),
    ("", EXPLICIT, BYTES, EXPLICIT),
    ('application/dicom+json, multipart/related; type="application/octet-stream"; transfer-syntax=*', JPEG, BYTES,
     JPEG),
]  # fmt: skip


@pytest.mark.parametrize(("header", "stored", "kind", "label"), FRAMES)
def test_frames_are_served_to_real_viewers(header: str, stored: str, kind: str, label: str) -> None:
    assert of_frames(parse([header]), stored, alone=False) == Chosen(True, kind, label)


@pytest.mark.parametrize(
    ("header", "stored"),
    [
        ('multipart/related; type="application/octet-stream"', JPEG),
        ('multipart/related; type="image/jp2"', JPEG),
        ('multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.70', JPEG),
        ("image/png", EXPLICIT),
        ("application/octet-stream", EXPLICIT),  # of several frames
        ("*/*;q=0", EXPLICIT),
        (",;,", EXPLICIT),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(header: str, stored: str) -> None:
    with pytest.raises(NotAcceptable) as why:
        of_frames(parse([header]), stored, alone=False)
    assert f"transfer-syntax={stored}" in why.value.remedy


def test_compressed_frames_are_decoded_only_where_none_that_are_stored_are_wanted() -> None:
    little = 'multipart/related; type="application/octet-stream"'
    for header in (
        little,
        f"{little}; transfer-syntax={EXPLICIT}",
        f'{little}, multipart/related; type="image/gif"',
    ):
        assert of_frames(parse([header]), JPEG, alone=False, decodable=True) == Chosen(True, BYTES, EXPLICIT)
    for header in (
        f"{little}, {little}; transfer-syntax=*",
        f'{little}, multipart/related; type="image/jpeg"',
        "*/*",
    ):
        assert of_frames(parse([header]), JPEG, alone=False, decodable=True).syntax == JPEG
    with pytest.raises(NotAcceptable) as why:
        of_frames(parse(["image/png"]), JPEG, alone=True, decodable=True)
    assert f"application/octet-stream; transfer-syntax={EXPLICIT}" in why.value.remedy


def test_a_refusal_names_what_would_fit_in_parts_and_alone() -> None:
    one = f"application/dicom; transfer-syntax={JPEG}"
    several = f'multipart/related; type="application/dicom"; transfer-syntax={JPEG}'
    for alone, told in ((True, f"{one}, {several}"), (False, several)):
        with pytest.raises(NotAcceptable) as why:
            of_instances(parse(["text/html"]), {JPEG}, alone=alone)
        assert why.value.remedy == f"ask for one of: {told}"
    for accept in told_and_understood():
        assert of_frames(parse([accept]), JPEG, alone=True).syntax == JPEG


def told_and_understood() -> list[str]:
    """What is told to ask for of a frame that is asked for by itself."""
    with pytest.raises(NotAcceptable) as why:
        of_frames(parse(["text/html"]), JPEG, alone=True)
    told = why.value.remedy.removeprefix("ask for one of: ").split(", ")
    assert len(told) == 4
    return told


@pytest.mark.parametrize(
    ("header", "stored", "alone", "multipart"),
    [
        ('multipart/related; type="application/dicom"; transfer-syntax=*', JPEG, True, True),
        ("multipart/related; type=application/dicom; transfer-syntax=*", EXPLICIT, False, True),
        ('multipart/related; type="application/dicom"', EXPLICIT, True, True),
        ("multipart/related;type=application/dicom;transfer-syntax=1.2.840.10008.1.2.4.50", JPEG, False, True),
        ("application/dicom; transfer-syntax=*", JPEG, True, False),
        ("application/dicom", EXPLICIT, True, False),
        ("application/dicom", EXPLICIT, False, True),
        ("*/*", JPEG, True, False),
        ("*/*", JPEG, False, True),
        ("text/html, application/xhtml+xml, */*;q=0.8", IMPLICIT, True, False),
        ("", JPEG, False, True),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1,'
         ' multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50', JPEG, False, True),
    ],
)  # fmt: skip
def test_instances_are_served_to_real_viewers(header: str, stored: str, alone: bool, multipart: bool) -> None:
    assert of_instances(parse([header]), {stored}, alone=alone) == Chosen(multipart, DICOM)


def test_instances_without_a_transfer_syntax_mean_explicit_little_endian() -> None:
    wanted = parse(['multipart/related; type="application/dicom"'])
    assert of_instances(wanted, {EXPLICIT, IMPLICIT}, alone=False) == Chosen(
        True, DICOM, remade=frozenset({IMPLICIT})
    )
    assert of_instances(wanted, {BIG}, alone=True).remade == {BIG}
    with pytest.raises(NotAcceptable) as why:
        of_instances(wanted, {EXPLICIT, JPEG}, alone=False)
    assert JPEG in why.value.remedy


def test_of_several_transfer_syntaxes_each_may_fit_another_that_is_asked_for() -> None:
    of_one = 'multipart/related; type="application/dicom"; transfer-syntax='
    wanted = parse([f"{of_one}{JPEG}, {of_one}{EXPLICIT}"])
    assert of_instances(wanted, {JPEG, EXPLICIT}, alone=False) == Chosen(True, DICOM)
    assert of_instances(wanted, {JPEG, IMPLICIT}, alone=False) == Chosen(
        True, DICOM, remade=frozenset({IMPLICIT})
    )
    with pytest.raises(NotAcceptable):
        of_instances(wanted, {JPEG, J2K}, alone=False)
    kept = parse([f"{of_one}{JPEG}, {of_one}{IMPLICIT}"])
    assert of_instances(kept, {JPEG, IMPLICIT}, alone=False) == Chosen(True, DICOM)


def test_compressed_instances_are_decoded_only_where_nothing_that_is_stored_is_wanted() -> None:
    of_one = 'multipart/related; type="application/dicom"'
    for header in (of_one, f"{of_one}; transfer-syntax={EXPLICIT}", "application/dicom"):
        multipart = header.startswith("multipart")
        chosen = of_instances(parse([header]), {JPEG}, alone=True, decodable={JPEG})
        assert chosen == Chosen(multipart, DICOM, remade=frozenset({JPEG}))
        chosen = of_instances(parse([header]), {JPEG, IMPLICIT, EXPLICIT}, alone=False, decodable={JPEG})
        assert chosen == Chosen(True, DICOM, remade=frozenset({JPEG, IMPLICIT}))
        with pytest.raises(NotAcceptable):
            of_instances(parse([header]), {JPEG, J2K}, alone=False, decodable={JPEG})
    for more in ("*", JPEG):
        wanted = parse([f"{of_one}; transfer-syntax={EXPLICIT}, {of_one}; transfer-syntax={more};q=0.1"])
        for stored in ({JPEG}, {JPEG, EXPLICIT}):
            assert of_instances(wanted, stored, alone=False, decodable={JPEG}) == Chosen(True, DICOM)
    wanted = parse([f"{of_one}; transfer-syntax={JPEG}, {of_one}; transfer-syntax={EXPLICIT}"])
    chosen = of_instances(wanted, {JPEG, J2K}, alone=False, decodable={JPEG, J2K})
    assert chosen == Chosen(True, DICOM, remade=frozenset({J2K}))
    with pytest.raises(NotAcceptable) as why:
        of_instances(parse([f"{of_one}; transfer-syntax={BIG}"]), {JPEG}, alone=True, decodable={JPEG})
    assert f"application/dicom; transfer-syntax={EXPLICIT}" in why.value.remedy


def test_several_headers_are_one_list() -> None:
    wanted = parse(["text/html;q=0.9", 'multipart/related; type="application/dicom"; transfer-syntax=*'])
    assert of_instances(wanted, {JPEG}, alone=False) == Chosen(True, DICOM)
    assert [one.kind for one in wanted] == [DICOM, "text/html"]


def test_json_and_bulk() -> None:
    demand_json(parse(["application/dicom+json"]))
    demand_json(parse([]))
    with pytest.raises(NotAcceptable):
        demand_json(parse(["text/html"]))
    assert of_bulk(parse(["application/octet-stream"])) == Chosen(False, BYTES)
    assert of_bulk(parse(['multipart/related; type="application/octet-stream"'])) == Chosen(True, BYTES)
    with pytest.raises(NotAcceptable):
        of_bulk(parse(["image/png"]))


def test_a_header_of_any_length_is_looked_at_up_to_a_bound() -> None:
    assert parse(["," * 1_000_000 + "*/*"]) == []
    assert len(parse(["a/b," * 100_000])) <= 1100
    assert len(parse(["a/b"] * 100_000)) <= 1100


def test_quotes_mean_nothing() -> None:
    plain = "multipart/related; type=image/jls; transfer-syntax=*; q=.5, text/html"
    for mark in ";=,":
        assert parse([plain.replace(mark, f'"{mark}')]) == parse([plain])
    assert parse(['\\"' * 2_000]) == parse(["\\" * 2_000])
