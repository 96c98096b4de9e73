"""The report as a page: one file without scripts or links, plain enough to be printed and filed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from mdm_async.cli.profile.studies import Study, in_order
from mdm_async.cli.tables import counts_in_words, in_words

_STYLE: Final = """
body { font: 11pt/1.45 Georgia, "Times New Roman", serif; color: #111 }
body { max-width: 60em; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: .2em } h2 { font-size: 1.15em; margin: 2em 0 .3em; overflow-wrap: anywhere }
h3 { font-size: 1em; margin: 1em 0 .2em }
table { border-collapse: collapse; width: 100%; font-size: .85em; margin: .6em 0 }
th, td { border-bottom: 1px solid #bbb; padding: .2em .6em .2em 0; text-align: left; vertical-align: top }
thead { display: table-header-group } th { border-bottom: 2px solid #555 } tr { break-inside: avoid }
td.count, th.count { text-align: right; padding-right: 0 } code { font-size: .92em; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content auto; gap: .15em 1.2em } dt { color: #555 } dd { margin: 0 }
section.notes { border-top: 1px solid #555; margin-top: 2.5em }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } }
"""

_BASES: Final = {
    "basic": "Basic Application Level Confidentiality Profile (DICOM PS3.15 Annex E); what it does not name is denied",
    "ps3.15": "Basic Application Level Confidentiality Profile (DICOM PS3.15 Annex E); what it does not name is kept",
    "keep-only": "nothing is kept but what the profile names",
}
_NOT_DONE: Final = (
    "Equal pixels link: whoever holds two copies of an image can tell that they are the same, whatever their "
    "pseudonyms. Pseudonyms stop casual joining of projects, not a comparison of images.",
    "Recognisable faces are not removed: from a scan of a head a face can be reconstructed.",
    "Text burned into the pixels is refused or blanked by rule, not recognised: what a trusted device or a person "
    "who released an image from quarantine let pass is in it.",
)


def page(told: dict[str, Any], studies: Sequence[Study], made: datetime) -> str:
    """HTML of a report as the server told it. It names no path, for people choose names as they like."""
    states: Counter[str] = Counter()
    for study in studies:
        states.update(study.states)
    facts = (
        ("View", told["view"]),
        ("Images", counts_in_words(in_order(states))),
        ("Studies", sum(study.uid is not None for study in studies)),
        ("Base", _BASES.get(told["base"], told["base"])),
        ("DICOM PS3.15", f"edition {told['edition']}"),
        ("Options", ", ".join(told["options"]) or "none"),
        ("Profile digest", told["digest"]),
        ("Scrubber revision", told["revision"]),
        ("Report of", made.strftime("%Y-%m-%d %H:%M UTC")),
    )
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>De-identification report: {_text(told['view'])}</title>",
            f"<style>{_STYLE}</style></head><body>\n<h1>De-identification report</h1>\n",
            "<p>What was removed or changed and what was kept: which rule did it to which attribute, and how often. "
            "Values are never shown; "
            "studies are named by their pseudonyms.</p>\n<dl>",
            *(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts),
            "</dl>\n",
            *map(_study, studies),
            '<section class="notes"><h2>What de-identification does not do</h2><ul>',
            *(f"<li>{_text(note)}</li>" for note in _NOT_DONE),
            "</ul></section>\n</body></html>\n",
        )
    )


def _study(study: Study) -> str:
    which = f"Study <code>{_text(study.uid)}</code>" if study.uid else "Images without this view"
    parts = [f"<section><h2>{which}</h2><p>{_text(counts_in_words(study.states))}</p>\n"]
    for title, lines in (("What went", study.went), ("What stayed", study.stayed)):
        if lines:
            rows = (
                (line.tag, line.name, in_words(line.action, line.tag), line.because, count)
                for line, count in lines.items()
            )
            parts.append(f"<h3>{title}</h3>")
            parts.append(_table(("Attribute", "Name", "Action", "Rule", "Count"), rows))
    if study.pixels:
        rows_of_pixels = ((_pixels(variant), count) for variant, count in study.pixels.items())
        parts.append(_table(("Pixels", "Images"), rows_of_pixels))
    if study.warnings:
        parts.append(_table(("Warning", "Images"), study.warnings.items()))
    if study.withheld:
        rows_withheld = ((guid, state, reason or "not made yet") for guid, state, reason in study.withheld)
        parts.append(_table(("Image", "State", "Reason"), rows_withheld))
    return "".join((*parts, "</section>\n"))


def _pixels(variant: str) -> str:
    return "as they are" if variant == "original" else f"cleaned ({variant.removeprefix('cleaned-')[:12]})"


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The last column is right-aligned where it counts."""
    counts = headings[-1] in ("Count", "Images")
    classes = [' class="count"' if counts and heading == headings[-1] else "" for heading in headings]
    head = "".join(
        f"<th{kind}>{_text(heading)}</th>" for heading, kind in zip(headings, classes, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{_text(cell)}</td>" for cell, kind in zip(row, classes, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"


def _text(value: object) -> str:
    return escape(str(value))
