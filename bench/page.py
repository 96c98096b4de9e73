"""A run as one page of HTML that needs nothing else: pictures, tables, what was measured on."""

from collections.abc import Iterator
from html import escape
from typing import Any

from bench.report import Finding
from bench.saved import Saved

_STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
table { display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(520px, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; } svg { width: 100%; height: auto; }
svg text { fill: currentColor; font-size: 11px; } svg .title { font-size: 13px; font-weight: 600; }
svg .grid { stroke: var(--line); } figcaption { font-size: 12px; }
figcaption span { margin-right: .9rem; }
figcaption i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; }
.met { color: #2e8b57; } .missed { color: #d1495b; } ul { padding-left: 1.2rem; }
"""
_MARKS = {True: ("met", "met"), False: ("missed", "missed"), None: ("", "not measured")}


def page(saved: Saved) -> str:
    """All of a run."""
    return "".join(_page(saved))


def _page(saved: Saved) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>mdm_async: bench</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    yield f"<h1>mdm_async, measured {escape(saved.began)}</h1>"
    yield from _table([{name: value for name, value in saved.machine.items() if value != ""}])
    for finding in saved.findings:
        yield from _finding(finding)
    yield "</body></html>\n"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"<h2>{escape(finding.scenario)}: {escape(finding.title)}</h2>"
    pictures = "".join(plot.svg() for plot in finding.plots)
    if pictures:
        yield f'<div class="plots">{pictures}</div>'
    yield from _table(finding.rows)
    if finding.targets:
        yield "<ul>"
        for target in finding.targets:
            kind, said = _MARKS[target.met]
            promise, measured = escape(target.promise), escape(target.measured)
            yield f'<li>{promise}: {measured} <b class="{kind}">{said}</b></li>'
        yield "</ul>"
    yield from (f"<p>{escape(remark)}</p>" for remark in finding.remarks)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield f"<table><thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in rows[0])}</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(_cell(value))}</td>' for value in row.values())}</tr>"
    yield "</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
