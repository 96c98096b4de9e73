"""Names that users type are compared with the file's own identifiers."""

import pytest

from mdm_async.dicom.identifiers import identifying_values, patient_of
from mdm_async.dicom.said import Said
from mdm_async.errors import MdmError, TooLarge


def test_the_identifiers_of_a_file(write):
    body = write.element(0x00080005, "CS", b"ISO_IR 192") + write.element(0x00080050, "SH", b"ACC-0815")
    body += write.element(0x00100010, "PN", "MÜLLER-LÜD^HANS^J^Dr=山田^太郎".encode())
    body += write.element(0x00100020, "LO", b"4711/a ") + write.element(0x00100030, "DA", b"19520412")
    body += write.element(0x00101000, "LO", b"OLD17\\OLD 18")
    body += write.sequence(0x00101002, write.element(0x00100020, "LO", b"ELSEWHERE9"), undefined=True)
    assert identifying_values(write.file(body)) == {
        *("müller", "lüd", "hans", "山田", "太郎"),
        *("acc0815", "4711a", "old17", "old18", "elsewhere9"),
        *("19520412", "12041952", "04121952"),
    }


@pytest.mark.parametrize("charset", [b"ISO\0IR", b"no such set", b"ISO 2022 IR 87\\bz2", b"\xff\xfe", b"hex"])
def test_a_character_set_that_is_none_hides_no_name(write, charset):
    body = write.element(0x00080005, "CS", charset) + write.element(0x00100010, "PN", b"MEIER^HANS")
    assert {"meier", "hans"} <= identifying_values(write.file(body))


def test_placeholders_identify_nobody(write):
    body = write.element(0x00100010, "PN", b"Anonymous^Patient") + write.element(0x00100020, "LO", b"TEST")
    assert identifying_values(write.file(body)) == frozenset()


def test_names_of_every_script_and_character_set(samples):
    found = {
        path.name: identifying_values(path.read_bytes())
        for path in samples
        if path.name in ("chrGerm.dcm", "chrH31.dcm", "chrRuss.dcm", "chrI2.dcm", "chrX1.dcm")
    }
    assert {"äneas", "rüdiger"} <= found["chrGerm.dcm"]
    assert {"yamada", "tarou", "山田", "太郎", "やまだ"} <= found["chrH31.dcm"]
    assert {"люкceмбypг"} <= found["chrRuss.dcm"]
    assert {"hong", "gildong", "길동"} <= found["chrI2.dcm"]
    assert {"wang", "xiaodong", "小東"} <= found["chrX1.dcm"]


IDENTIFIERS = frozenset(
    {"müller", "hans", "meier", "kim", "ct1", "1ct1", "12345", "4711088", "19520412", "山田", "やまだ"}
)


@pytest.mark.parametrize(
    ("lfn", "reveals"),
    [
        ("/vo/Mu\u0308ller_Hans/ct.dcm", True),  # decomposed
        ("/vo/MÜLLER.dcm", True),
        ("/vo/scans/xmüllerx.dcm", True),
        ("/vo/mül-ler/ct.dcm", True),
        ("/vo/meier2019.dcm", True),
        ("/vo/kim/ct.dcm", True),
        ("/vo/1952-04-12/a.dcm", True),
        ("/vo/4711088.dcm", True),
        ("/vo/x4711088y.dcm", True),
        ("/vo/1_CT_1.dcm", True),
        ("/vo/山田太郎.dcm", True),
        ("/vo/12345/1.dcm", True),
        ("/vo/１９５２\u30fb０４１２.dcm", True),  # full width
        ("/vo/١٩٥٢-04-12.dcm", True),
        ("/vo/Ｍ\u00fcller.dcm", True),
        ("/vo/ﾔﾏﾀﾞ/ct.dcm", True),  # half width
        ("/vo/img123456.dcm", False),
        ("/vo/kimono.dcm", False),
        ("/vo/hansel/ct.dcm", False),
        ("/vo/CT1/CT1_0001.dcm", False),
        ("/vo/CT_small.dcm", False),
        ("", False),
    ],
)
def test_the_shorter_an_identifier_the_more_it_must_stand_alone(lfn, reveals):
    assert Said.of(lfn).reveals(IDENTIFIERS) is reveals


def test_the_samples_own_names_do_not_reveal_their_patients(sample, split):
    try:
        head = split(sample.read_bytes()).head
    except MdmError:
        return
    assert not Said.of(f"/vo/pydicom/{sample.parent.name}/{sample.name}").reveals(identifying_values(head))


@pytest.mark.parametrize("tag", [0x00100010, 0x00100020, 0x00101000, 0x00100030, 0x00080005])
def test_more_names_than_any_patient_has_are_not_gone_through(write, tag):
    """A head of 20 MiB full of them took seconds of a core, and others' reads waited for it."""
    assert identifying_values(write.file(write.element(tag, "UN", b"19520412" * 1000))) is not None
    with pytest.raises(TooLarge):
        identifying_values(write.file(write.element(tag, "UN", b"1952041 " * 10_000)))


@pytest.mark.parametrize("each", [b"", b"x"])
def test_nor_are_more_other_ids(write, each):
    inner = write.element(0x00100020, "LO", b"4711") if each else b""
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    assert identifying_values(write.file(write.element(0x00101002, "SQ", item * 1000))) is not None
    with pytest.raises(TooLarge):
        identifying_values(write.file(write.element(0x00101002, "SQ", item * 100_000)))


def test_patients_are_told_apart_by_id_and_birth_date_else_by_their_names(write):
    def key(name: bytes, id_: bytes, born: bytes = b"19520412", accession: bytes = b"ACC1") -> frozenset[str]:
        body = write.element(0x00080050, "SH", accession) + write.element(0x00100010, "PN", name)
        body += write.element(0x00100020, "LO", id_) + write.element(0x00100030, "DA", born)
        return patient_of(write.file(body)).key

    one = key(b"MEIER^HANS", b"4711088")
    assert one == key(b"Meier^Hans^^Dr.", b"47-11-088", accession=b"ACC2")
    assert one != key(b"MEIER^HANS", b"4711089")
    assert one != key(b"MEIER^HANS", b"4711088", b"19520413")
    assert key(b"MEIER^HANS", b"") == key(b"Meier^Hans", b"ANONYMOUS", accession=b"ACC2") != key(b"KIM", b"")
