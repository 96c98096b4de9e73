"""Where a Python and its packages lie, and what else a program needs to be read before it runs."""

import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LIBRARIES: Final = tuple(
    map(Path, ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"))
)
_LOOKED_UP: Final = tuple(
    map(
        Path,
        (
            *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
            *("/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/fonts"),
        ),
    )
)
DEVICES: Final = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")))
PROGRAMS: Final = (*map(Path, ("/usr", "/bin", "/sbin")), *_LIBRARIES, *_LOOKED_UP)
"""What the system's own programs are made of."""
FACTS: Final = tuple(map(Path, ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")))
"""What programs that compute ask of a machine."""
_PACKAGES: Final = frozenset({"site-packages", "dist-packages"})


def of_this_python() -> list[Path]:
    """The standard library, packages that are installed, this package, shared libraries; not what else modules are
    found in: that can be any folder."""
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    installed = {Path(entry) for entry in sys.path if Path(entry).name in _PACKAGES}
    own = Path(__file__).parents[1]
    return [*standard, *installed, own, Path(sys.base_prefix, "lib"), *_LIBRARIES, *_LOOKED_UP, *DEVICES]


def of_program(command: tuple[str, ...]) -> list[Path]:
    """What a program is given of itself: where it and its interpreter are installed, and files among its arguments."""
    program = Path(command[0])
    found = [_installed(place) for place in (program, program.resolve())]
    return [*found, *(Path(word) for word in command[1:] if word.startswith("/") and Path(word).exists())]


def _installed(program: Path) -> Path:
    """Of …/bin/program the folder above, of which it is a part; else the program alone."""
    above = program.parent
    return above.parent if above.name == "bin" and above.parent != Path("/") else program


def apart_from(withheld: Iterable[Path], places: Iterable[Path]) -> list[Path]:
    """The places without what is withheld: where a place holds such a thing, what lies beside that."""
    kept_away = [path.resolve() for path in withheld]
    return [part for place in places for part in _parts(place, kept_away)]


def _parts(place: Path, withheld: list[Path]) -> Iterable[Path]:
    found = place.resolve()
    if any(found.is_relative_to(path) for path in withheld):
        return
    if not any(path.is_relative_to(found) for path in withheld):
        yield place
    elif found.is_dir():
        for inside in found.iterdir():
            yield from _parts(inside, withheld)
