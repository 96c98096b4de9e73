"""Makes docs/what-stays.md from the package's tables: run it after a change of theirs, and look at the diff."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from mdm_async.dicom.profiles.reviewed import Reviewed, reviewed
from mdm_async.dicom.values.kept_text import NUMBERS
from mdm_async.dicom.values.vocabulary import nameless_words

PAGE = Path(__file__).parents[2] / "docs" / "what-stays.md"
HEAD = f"""\
# What stays in a de-identified image

For whoever decides on a release and asks what could still be in there. This is the profile `basic` without options:
what is not described here is removed, emptied, or replaced by a dummy or a pseudonym. Options and site rules let more
through; `mdm profile check` says what. What should go all the same, goes by a line of a profile under `[attributes]`,
as `SegmentLabel = "X"` ([profiles.md](profiles.md)).

1. **Numbers**: values of the VRs for numbers, when they are numbers, but for those that the standard or our table
   removes (weight, size, numbers of other studies). No more than there may be, and none in digits that reads as a day
   with the year first (19600101, 19600101.5), whoever keeps the attribute. True values go with it: one in 27 between
   18.9 and 20.4 million (counts of a detector, say), of other numbers of 8 digits none. Days written otherwise
   (31121960) stay.
2. **Code strings**: terms that the standard defines for the attribute, terms that are common in files, and what is
   made of {len(nameless_words()):,} words, among which are no usual names of people.
3. **Codes** of published schemes with the published meaning. Of a site's own codes neither value nor meaning.
4. **UIDs** that the standard registers. All others are replaced, the same everywhere in a project.
5. **Texts** of the attributes below, when all of the value is what it may be.
6. **Bytes** of the attributes below, when they do not read as text.
7. **Tags** that point to other attributes, when those stay.
8. **The picture**: what is burned into it, where nothing in the file speaks of burned-in text
   ([burned-in-text.md](burned-in-text.md)); a face, where slices show one ([faces.md](faces.md)).
"""

BY_OTHER_RULES = frozenset({"code", "pixels"})
"""Kept by the rules for codes and for pixels, whatever they hold."""


def page() -> str:
    """The document."""
    kept = [row for row in reviewed().values() if row.action == "K"]
    texts = [row for row in kept if row.keeps not in BY_OTHER_RULES | {NUMBERS}]
    opaque = [row for row in kept if row.keeps == NUMBERS]
    said = list(_said())
    return "\n".join(
        (
            HEAD,
            f"## Texts: {len(texts)} attributes\n",
            "| attributes | what it is | may be |",
            "| --- | --- | --- |",
            *(f"| {names} | {reason} | `{keeps}` |" for names, reason, keeps in _grouped(texts)),
            f"\n## Bytes: {len(opaque)} attributes\n",
            "| attributes | what it is |",
            "| --- | --- |",
            *(f"| {names} | {reason} |" for names, reason, _ in _grouped(opaque)),
            "\n## What a text may be\n",
            "| | |",
            "| --- | --- |",
            *(f"| `{name}` | {what} |" for name, what in said),
            "",
        )
    )


def _grouped(rows: Iterable[Reviewed]) -> Iterator[tuple[str, str, str]]:
    """(attributes, reason, what it may be), those with one reason together."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        groups[row.reason, row.keeps].append(row.keyword)
    for (reason, keeps), keywords in groups.items():
        yield ", ".join(keywords), reason, keeps


def _said() -> Iterator[tuple[str, str]]:
    table = resources.files("mdm_async.dicom.tables") / "kept-text.csv"
    for row in csv.DictReader(table.read_text(encoding="ascii").splitlines()):
        if row["kind"] == "is":
            yield row["name"], row["content"]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
