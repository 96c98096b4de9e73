"""Text that stays: what passes is technical, and no name, date, number or UID does."""

import csv
import random
from importlib import resources

import pytest

from mdm_async.dicom.values.kept_text import NUMBERS, names, passes

LINES = list(
    csv.DictReader(
        (resources.files("mdm_async.dicom.tables") / "kept-text.csv").read_text(encoding="ascii").splitlines()
    )
)
PEOPLE = """SMITH JOHN|Smith^John|John Smith|Mary Ann|Mueller|O'Brien|Young|Gray|Long|Hand Mary|van Dyke|Jane|DOE^JANE
Wang Li|Garcia|Dr. House|Lopez^Maria^^Dr|Kowalski|Nguyen|smith|john|miller james|ms jones""".replace(
    "\n", "|"
)
DAYS = [
    "19600101",
    "1960-01-01",
    "01.01.1960",
    "01/02/1960",
    "12/03/60",
    "1 Jan 1960",
    "196001011200",
    "12:34:56.789",
]
NUMBERS_OF_PEOPLE = [
    "1234",
    "12345678",
    "A1234567",
    "MRN 00123456",
    "555 123 456",
    "555-123-4567",
    "P-12345",
    "12 34 56",
]
UIDS = ["1.2.3.4.5.6.7890", "2.25.123456789012345678901234567890", "1.2.840.113619.2.55.3.1234567.100"]
PLACES = [
    "General Hospital Springfield",
    "Charite Berlin",
    "St. Mary's",
    "http://pacs.example.org/x",
    "a@b.org",
    "10.1.2.34",
]
CANARIES = [*PEOPLE.split("|"), *DAYS, *NUMBERS_OF_PEOPLE, *UIDS, *PLACES]


@pytest.mark.parametrize("line", [line for line in LINES if line["example"]], ids=lambda line: line["name"])
def test_the_example_of_each_line_passes(line):
    assert passes(line["name"], line["example"].encode())
    assert passes(line["name"], f"{line['example']} \\{line['example']}\0".encode())


@pytest.mark.parametrize("keeps", sorted(names()))
def test_no_name_date_number_or_uid_passes(keeps):
    assert [canary for canary in CANARIES if passes(keeps, canary.encode())] == []


@pytest.mark.parametrize("keeps", sorted(names()))
def test_no_random_word_passes(keeps):
    random_of = random.Random(keeps)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    found = [
        word
        for word in ("".join(random_of.choices(letters, k=random_of.randint(6, 24))) for _ in range(2000))
        if passes(keeps, word.encode())
    ]
    assert found == []


@pytest.mark.parametrize("keeps", sorted(names()))
def test_no_random_number_passes(keeps):
    random_of = random.Random(keeps)
    numbers = (str(random_of.randint(10 ** (n - 1), 10**n - 1)) for n in range(5, 20) for _ in range(100))
    assert [number for number in numbers if passes(keeps, number.encode())] == []


@pytest.mark.parametrize("keeps", [*sorted(names()), "no such name", "code", "pixels"])
def test_nothing_passes_as_well_as_nothing_else_under_an_unknown_name(keeps):
    assert passes(keeps, b"")
    assert passes(keeps, b"\\ \0")
    assert not passes(keeps, b"Smith")
    assert not passes(keeps, b"Oral \\Smith")
    assert not passes(keeps, "M\u00fcller".encode("latin-1"))
    assert not passes(keeps, b"bone " * 40)


def test_opaque_bytes_pass_as_numbers_unless_they_are_text():
    assert passes(NUMBERS, bytes(range(256)))
    assert passes(NUMBERS, bytes(value for value in range(0x20, 0x7F) for _ in range(2)))
    assert passes(NUMBERS, bytes(reversed(range(0x20, 0x7F))))
    assert passes(NUMBERS, random.Random(1).randbytes(512))
    assert passes(NUMBERS, b"AB")
    assert not passes(NUMBERS, b"Smith^John 1960 ")
    assert not passes(NUMBERS, b"12345678" + bytes(8))
    assert not passes(NUMBERS, "Smith^John".encode("utf-16-le"))
    assert not passes(NUMBERS, "Smith^John".encode("utf-16-be"))
    assert passes(NUMBERS, bytes(byte for value in range(0x20, 0x7F) for byte in (value, 0)))
    assert not passes(NUMBERS, "Müller^Jörg".encode())
