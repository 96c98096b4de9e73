"""One column of the table: commands run one after the other, by one protocol, in one view, in one directory."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Server
from tests.interop.grid_tools import GridTools, Ran

_CREDENTIAL: Final = re.compile(r"\bMDA[\w-]{60,}|(?<=/t/)[\w-]{20,}")


@dataclass(frozen=True)
class Cell:
    """What became of a command."""

    ok: bool
    told: str


@dataclass
class Trial:
    tools: GridTools
    protocol: str
    place: str
    view: str = ""
    """Named in each path; none: the directory's own."""
    cells: dict[str, Cell] = field(default_factory=dict)

    other: Server | None = None
    """A second server of the same grid, to copy to and from."""

    @property
    def column(self) -> str:
        return f"{self.protocol}{f' /@{self.view}' if self.view else ''}"

    def url(self, name: str = "") -> str:
        """Of what is in the directory; the name as it is written in a URL."""
        path = f"{f'/@{self.view}' if self.view else ''}{self.place}{f'/{name}' if name else ''}"
        return self.tools.srm(path) if self.protocol == "srm" else self.tools.davs(path)

    def https(self, name: str = "") -> str:
        return self.url(name).replace("davs://", "https://")

    def local(self, name: str) -> Path:
        return self.tools.home / f"{self.column.replace(' /@', '-')}-{name}"

    async def run(
        self,
        label: str,
        *command: str,
        says: str = "",
        holds: Callable[[Ran], bool] | None = None,
        stdin: bytes | None = None,
        code: int = 0,
        **environment: str,
    ) -> Ran | None:
        """`says`: a regular expression that stands in what it prints; `holds`: what else is so when it went well."""
        try:
            ran = await self.tools.run(*command, stdin=stdin, seconds=60, **environment)
        except (pytest.skip.Exception, pytest.fail.Exception) as why:
            self.cells[label] = Cell(False, shortened(str(why)))
            return None
        ok = (
            ran.code == code
            and re.search(says, ran.said, re.MULTILINE) is not None
            and (holds is None or holds(ran))
        )
        said = shortened(self._anonymous(ran.said))
        self.cells[label] = Cell(ok, said if ok else f"({ran.code}) {said}")
        return ran

    def _anonymous(self, text: str) -> str:
        for long, short in (
            (str(self.tools.home), "~"),
            (self.tools.host, "HOST"),
            (self.place, "/grid/d"),
            (self.tools.server.admin_token, "TOKEN"),
        ):
            text = text.replace(long, short)
        return _CREDENTIAL.sub("TOKEN", text)


def shortened(text: str, most: int = 110) -> str:
    """An output in one line; of what is no text, how long it is."""
    if "\0" in text:
        return f"{len(text)} characters, not text"
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    whole = " ⏎ ".join(lines)
    return whole if len(whole) <= most else f"{whole[: most // 2]}…{whole[-most // 2 :]}"
