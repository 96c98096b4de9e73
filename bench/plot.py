"""Lines in a picture: what a scenario found, to be looked at. As SVG, without anything from elsewhere."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 20, 30, 44
_COLOURS = ("#0b63ce", "#d1495b", "#2e8b57", "#8a5cc2", "#c77f0a", "#4a4a4a", "#0aa2a2", "#b0307a")
_TICKS = 5


@dataclass(slots=True)
class Plot:
    """`series`: by name, points (x, y). `log_x`: each doubling of x is as wide."""

    title: str
    x: str
    y: str
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    log_x: bool = False

    def svg(self) -> str:
        """Its picture, with a legend below."""
        points = [point for line in self.series.values() for point in line]
        if not points:
            return ""
        across, up = _Axis([x for x, _ in points], log=self.log_x), _Axis([0, *(y for _, y in points)])
        body = [*self._frame(across, up)]
        for colour, line in zip(_endless(_COLOURS), self.series.values(), strict=False):
            placed = [(_x(across.share(x)), _y(up.share(y))) for x, y in line]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            body.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
            if len(placed) <= 2 * _TICKS:
                body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        view = f"0 0 {_WIDTH} {_HEIGHT}"
        picture = f'<svg viewBox="{view}" role="img" aria-label="{escape(self.title)}">{"".join(body)}</svg>'
        return f"<figure>{picture}<figcaption>{''.join(self._legend())}</figcaption></figure>"

    def _frame(self, across: "_Axis", up: "_Axis") -> Iterator[str]:
        yield f'<text x="{_LEFT}" y="18" class="title">{escape(self.title)}</text>'
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        yield f'<text x="{middle}" y="{_HEIGHT - 6}" class="axis" text-anchor="middle">{escape(self.x)}</text>'
        half = (_TOP + _HEIGHT - _BOTTOM) / 2
        turned = f'transform="rotate(-90 14 {half})"'
        yield f'<text x="14" y="{half}" class="axis" text-anchor="middle" {turned}>{escape(self.y)}</text>'
        for value in up.ticks():
            y = _y(up.share(value))
            yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="tick" text-anchor="end">{_short(value)}</text>'
        for value in across.ticks():
            x = _x(across.share(value))
            at = _HEIGHT - _BOTTOM + 16
            yield f'<text x="{x:.1f}" y="{at}" class="tick" text-anchor="middle">{_short(value)}</text>'

    def _legend(self) -> Iterator[str]:
        for colour, name in zip(_endless(_COLOURS), self.series, strict=False):
            yield f'<span><i style="background:{colour}"></i>{escape(name)}</span> '


class _Axis:
    def __init__(self, values: Sequence[float], *, log: bool = False) -> None:
        self._log = log and min(values) > 0
        self._values = sorted(set(values))
        self._least, self._most = self._values[0], self._values[-1]
        if not self._log:
            step = _step(self._most - self._least)
            self._step = step
            self._least = math.floor(self._least / step) * step
            self._most = math.ceil(self._most / step) * step

    def share(self, value: float) -> float:
        """0 at its beginning, 1 at its end."""
        if self._log:
            whole = math.log(self._most / self._least) or 1
            return math.log(value / self._least) / whole
        return (value - self._least) / ((self._most - self._least) or 1)

    def ticks(self) -> list[float]:
        if self._log:
            return self._values
        count = round((self._most - self._least) / self._step)
        return [self._least + number * self._step for number in range(count + 1)]


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, about a fifth of the span."""
    if span <= 0:
        return 1
    rough = span / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= rough)


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:g}"


def _endless(colours: Sequence[str]) -> Iterator[str]:
    while True:
        yield from colours
