"""The page about limits is whole, and says what they are."""

import re
from pathlib import Path

from mdm_async.settings import LimitSettings, Settings

_PAGE = Path(__file__).parent.parent / "docs" / "limits.md"
_ROW = re.compile(r"^\| `([a-z]+)\.([a-z_]+)` \|.*\| ([^|]+) \|$", re.MULTILINE)
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def test_each_limit_is_on_the_page() -> None:
    page = _PAGE.read_text()
    missing = [name for name in LimitSettings.model_fields if f"`limits.{name}`" not in page]
    assert missing == []


def test_the_page_says_what_each_limit_is_when_nothing_is_set() -> None:
    rows = _ROW.findall(_PAGE.read_text())
    assert len(rows) > len(LimitSettings.model_fields)
    wrong = {
        f"{section}.{key}": said
        for section, key, said in rows
        if _number(said) != Settings.model_fields[section].annotation.model_fields[key].default  # type: ignore[union-attr]
    }
    assert wrong == {}


def _number(said: str) -> float:
    number, _, unit = said.replace(",", "").partition(" ")
    return float(number) * _UNITS.get(unit, 1)
