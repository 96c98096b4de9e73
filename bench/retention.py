"""How much of what image analysis reads is left by de-identification, over the pydicom corpora: the other half of
removal, as the MIDI-B challenge counts it.

`analysis.csv` lists the attributes, with what they are read for. Each of them that has a value in a file, at any depth
outside private attributes, is one that should be found again in the same place with the same value; codes count in the
sequences that the list names, unless their scheme is somebody's own. UIDs of instances count when each has become one
UID, the same everywhere. Not counted is what stands in a sequence that PS3.15 Table E.1-1 itself takes away as a whole:
reports are, but for an option.
"""

import asyncio
import csv
import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_files
from pydicom.datadict import tag_for_keyword

from bench.report import Finding, Target
from bench.survivors import Missing, deid, dicognito, dicom_anonymizer
from mdm_async.dicom.profile import Profile, basic
from mdm_async.errors import MdmError, ScrubRefused
from tests.canary_planter import table
from tests.pipeline import deidentified

Place = tuple[tuple[int, int], ...]
"""(tag, number of the item) from the outermost sequence; of the attribute itself the number is 0."""
_WANTED = 0.98
_LARGEST = 4 << 20
"""Bytes of a file at most: some peers take minutes for larger ones."""
_RESEARCH = frozenset({"clean_structured_content", "clean_descriptors", "clean_graphics"})
_CODES = frozenset({0x00080100, 0x00080102, 0x00080104})


@dataclass(slots=True)
class _Count:
    """One tool's."""

    found: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    uids: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return self.found / (self.found + self.lost.total() or 1)


async def measure(folder: Path) -> Finding:
    """Counts over the files of which our basic profile makes a view, for every tool the same."""
    return await asyncio.to_thread(_measure, folder)


def _measure(folder: Path) -> Finding:
    files = [
        path
        for path in map(Path, sorted(get_testdata_files()))
        if path.is_file() and path.stat().st_size <= _LARGEST
    ]
    wanted = {path: places for path in files if (places := _read(path.read_bytes())) and _served(path)}
    finding = Finding("retention", f"what analysis reads, in {len(wanted)} files: what is left")
    for name, tool in TOOLS.items():
        options = _RESEARCH if tool is ours_with_options else frozenset()
        standing = {
            path: {place: value for place, value in places.items() if _stands(place, options)}
            for path, places in wanted.items()
        }
        made = folder / name.replace(" ", "-").replace(",", "")
        made.mkdir()
        finding.rows.append({"what": name} | _row(tool, standing, made))
    for row in finding.rows[:2]:
        met = row["retained"] >= 100 * _WANTED
        finding.targets.append(Target(f"{row['what']}: at least 98 %", f"{row['retained']:.2f} %", met))
    return finding


def _row(
    tool: Callable[[Path, Path], bytes], wanted: dict[Path, dict[Place, Any]], folder: Path
) -> dict[str, Any]:
    count = _Count()
    for number, (path, places) in enumerate(wanted.items()):
        own = folder / str(number)
        own.mkdir()
        try:
            with _quiet():
                _compare(tool(path, own), places, count)
        except (Missing, ImportError) as why:
            return {
                "values": None,
                "retained": 0.0,
                "values lost": None,
                "files failed": None,
                "lost most": f"NOT INSTALLED: {why}",
            }
        except Exception:  # a tool that fails has kept nothing of this file
            count.failed += 1
            count.lost.update(_keyword(place) for place in places)
    most = ", ".join(f"{keyword} {times}" for keyword, times in count.lost.most_common(4))
    return {
        "values": sum(map(len, wanted.values())),
        "retained": 100 * count.share,
        "values lost": count.lost.total(),
        "files failed": count.failed,
        "lost most": most,
    }


def _compare(made: bytes, places: dict[Place, Any], count: _Count) -> None:
    left = _read(made)
    for place, value in places.items():
        now = left.get(place)
        if _same(place, value, now, count.uids):
            count.found += 1
        else:
            count.lost[_keyword(place)] += 1


def _same(place: Place, value: Any, now: Any, uids: dict[str, str]) -> bool:
    if now is None:
        return False
    if _is_instance(place, value):
        return bool(now) and uids.setdefault(value, now) == now
    return bool(value == now)


def _is_instance(place: Place, value: Any) -> bool:
    return isinstance(value, pydicom.uid.UID) and not value.type


def _read(data: bytes) -> dict[Place, Any]:
    """What analysis reads of a file; nothing of what pydicom cannot read."""
    with _quiet():
        try:
            found = dict(_values(pydicom.dcmread(io.BytesIO(data))))
        except Exception:
            return {}
    return {place: value for place, value in found.items() if value not in (None, "")}


def _values(data: pydicom.Dataset, above: Place = ()) -> Iterator[tuple[Place, Any]]:
    for element in data:
        tag = int(element.tag)
        if element.tag.is_private:
            continue
        if element.VR == "SQ":
            if tag in attributes() and len(element.value):
                yield (*above, (tag, 0)), len(element.value)
            for number, item in enumerate(element.value):
                yield from _values(item, (*above, (tag, number)))
        elif tag in attributes() and (tag not in _CODES or _is_read(data, above)):
            yield (*above, (tag, 0)), element.value


def _is_read(code: pydicom.Dataset, above: Place) -> bool:
    """Whether it is a code of a sequence that the list names, and of nobody's own scheme (PS3.16 §8)."""
    own = str(code.get("CodingSchemeDesignator", "99")).startswith("99")
    return not own and bool(above) and above[-1][0] in attributes()


def _stands(place: Place, options: frozenset[str]) -> bool:
    """Whether the standard's table leaves every sequence above it, and the attribute itself."""
    return all(_left(tag, options) for tag, _ in place)


@cache
def _left(tag: int, options: frozenset[str]) -> bool:
    row = table().get(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
    if row is None or row["basic"] in ("U", "X/Z/U*"):
        return True
    return any(row[option] in ("K", "C") for option in options)


def _keyword(place: Place) -> str:
    return attributes()[place[-1][0]]


def _served(path: Path) -> bool:
    try:
        deidentified(path.read_bytes())
    except (MdmError, ScrubRefused):
        return False
    return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what pydicom says of every value that is not as it should be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def attributes() -> dict[int, str]:
    """The keywords of `analysis.csv`, by tag."""
    with (Path(__file__).parent / "analysis.csv").open(encoding="ascii") as table:
        keywords = [row["keyword"] for row in csv.DictReader(table)]
    return {tag: keyword for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None}


def ours(source: Path, _: Path) -> bytes:
    return deidentified(source.read_bytes(), basic())


def ours_with_options(source: Path, _: Path) -> bytes:
    return deidentified(source.read_bytes(), Profile("research", options=_RESEARCH))


TOOLS: dict[str, Callable[[Path, Path], bytes]] = {
    "mdm_async": ours,
    "mdm_async, clean options": ours_with_options,
    "dicom-anonymizer": dicom_anonymizer,
    "deid": deid,
    "dicognito": dicognito,
}
