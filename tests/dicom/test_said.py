"""What of a text counts as new, and as a guess at a birth date."""

from datetime import date

import pytest

from mdm_async.dicom.said import Said


def new(text: str, *before: str) -> tuple[int, int, int]:
    """Dates, letters and characters that a text says beyond others."""
    said, known = Said.of(text), [Said.of(one) for one in before]
    dates = said.dates.difference(*(one.dates for one in known))
    letters = {piece for piece in said.letters if not any(piece in one.letters for one in known)}
    characters = {piece for piece in said.characters if not any(piece in one.characters for one in known)}
    return len(dates), sum(map(said.letters.get, letters)), sum(map(said.characters.get, characters))


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("19731109", 1),
        ("1973-11-09", 1),
        ("scan of 09.11.1973, 11/10/1973", 3),
        ("x197311091974", 2),
        ("19731131", 0),
        ("19730011", 0),
        ("18991231", 0),
        (f"{date.today().year + 1}0101", 0),
        ("1973a1109", 0),
        ("731109", 0),
        ("１９７３・１１・０９", 1),
        ("١٩٧٣1109", 1),
    ],
)
def test_what_could_be_a_birth_date_however_it_is_written(text: str, dates: int) -> None:
    assert len(Said.of(text).dates) == dates


def test_a_date_is_found_where_a_name_goes_on_with_its_directory() -> None:
    directory = Said.of("/vo/1973-1")
    assert len(Said.of("109.dcm", directory).dates) == 1
    assert Said.of("109.dcm", directory).reveals(["19731109"])
    assert Said.of("meier.dcm", directory).reveals(["meier"])
    assert not Said.of("ier.dcm", Said.of("/vo/me")).reveals(["meier"])
    assert Said.of("lmeier.dcm", Said.of("/vo/wilhe")).reveals(["wilhelmeier"])


def test_what_was_said_is_free_and_what_is_put_together_anew_is_not() -> None:
    assert new("state: running on node17", "state: running on node17") == (0, 0, 0)
    assert new("IMG0002.dcm", "IMG0001.dcm")[:2] == (0, 0)
    assert new("mei-er", "mei er") == (0, 0, 0)
    assert new("mei-er", "mei", "er")[1] == 2
    assert new("1973-11-09", "1973", "11-09")[0] == 1
    assert new("47 11 08 8", "47 11 08", "11 08 8")[2] > 0


def test_letters_of_scripts_without_capitals_weigh_more() -> None:
    assert new("meier")[1] == 5
    assert new("山田")[1] == 6


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 9, 12])
def test_nothing_is_found_but_in_new_pieces(length: int) -> None:
    """Whatever parts of an identifier were said before, in whatever others: to say it takes a piece that is new."""
    secret = "qvxzwkjhgfbp"[:length]
    parts = [secret[:at] for at in range(length)] + [secret[at:] for at in range(1, length + 1)]
    before = [f"{one} {two}" for one in parts for two in parts if one + two != secret]
    before = [one for one in before if secret not in one.replace(" ", "")]
    for at in range(length):
        text = f"{secret[:at]}.{secret[at:]}"
        assert new(text, *before)[2] > 0
