"""The metrics as text, made once for all who ask meanwhile: no flood of scrapes holds up the event loop."""

import time
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import generate_latest

from mdm_async.postgres.looks import Looks

Others = Callable[[], Awaitable[Mapping[str, bytes]]]


class Exposition:
    """`own`: which of several processes this is; then each line tells whose it is. `others`: theirs, by process."""

    def __init__(self, own: str | None = None, others: Others | None = None) -> None:
        self._own, self._others = own, others
        self._looks = Looks(self._make)
        self._text = b""

    async def latest(self) -> bytes:
        """As the metrics stand when this is called, or later."""
        await self._looks.since(time.monotonic())
        return self._text

    async def _make(self) -> None:
        if self._own is None or self._others is None:
            self._text = generate_latest()
            return
        self._text = merged({self._own: generate_latest(), **await self._others()})


def merged(texts: Mapping[str, bytes]) -> bytes:
    """The metrics of several processes in Prometheus' text format, each told apart by the label `process`; the lines of
    a metric stand together, as the format demands."""
    heads: dict[bytes, list[bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    for process, text in sorted(texts.items()):
        label = b'process="%s"' % process.encode()
        name = b""
        for line in text.splitlines():
            if line.startswith(b"# HELP "):
                name = line.split(b" ", 3)[2]
                is_new = name not in heads
                heads.setdefault(name, [])
            if line.startswith(b"#"):
                if is_new:
                    heads[name].append(line)
                continue
            samples.setdefault(name, []).append(_labelled(line, label))
    return b"".join(b"%s\n" % line for name in heads for line in (*heads[name], *samples.get(name, ())))


def _labelled(line: bytes, label: bytes) -> bytes:
    """A metric's name holds neither a brace nor a space."""
    brace, space = line.find(b"{"), line.find(b" ")
    if 0 <= brace < space:
        return b"%s{%s,%s" % (line[:brace], label, line[brace + 1 :])
    return b"%s{%s}%s" % (line[:space], label, line[space:])
