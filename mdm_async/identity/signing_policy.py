"""Signing policies: which subjects an authority may sign (Globus EACL, `<hash>.signing_policy`)."""

import re
from collections.abc import Mapping

from mdm_async.identity.distinguished_name import escaped
from mdm_async.identity.shapes import Unreadable

Patterns = tuple[re.Pattern[str], ...]

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\S+)")
_INNER = re.compile(r'"([^"]*)"')
_SIGN = "CA:sign"


def read_signing_policy(file: bytes) -> Mapping[str, Patterns]:
    """For each authority of the file, the subjects that it may sign. Raises Unreadable."""
    permitted: dict[str, list[re.Pattern[str]]] = {}
    authority: str | None = None
    signs = False
    for line in _lines(file):
        word, _, rest = line.partition(" ")
        kind, _, value = rest.strip().partition(" ")
        if word.startswith("access_id_"):
            authority = _unquoted(value) if (word, kind) == ("access_id_CA", "X509") else None
            signs = False
            if authority is not None:
                permitted.setdefault(authority, [])
        elif word == "pos_rights":
            signs = kind == "globus" and _unquoted(value) == _SIGN
        elif word == "cond_subjects":
            if authority is not None and signs and kind == "globus":
                permitted[authority].extend(map(_glob, _subjects(value)))
        else:
            # A right taken away, or a condition that nobody here would look at.
            raise Unreadable("a signing policy has a line that is not understood")
    if not permitted:
        raise Unreadable("a signing policy names no authority")
    return {name: tuple(patterns) for name, patterns in permitted.items()}


def permits(patterns: Patterns, subject: str) -> bool:
    return any(pattern.fullmatch(subject) for pattern in patterns)


def _lines(file: bytes) -> list[str]:
    text = "\n".join(escaped(line.replace(b"\t", b" ")) for line in file.splitlines())
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _unquoted(value: str) -> str:
    found = _QUOTED.match(value.strip())
    if found is None:
        raise Unreadable("a signing policy has a line without a value")
    return next(group for group in found.groups() if group is not None)


def _subjects(value: str) -> list[str]:
    value = value.strip()
    inner = value[1 : value.rfind("'")] if value.startswith("'") else value
    return _INNER.findall(inner) or inner.split()


def _glob(pattern: str) -> re.Pattern[str]:
    # Several stars in a row match what one does, and would only take longer.
    pattern = re.sub(r"\*+", "*", pattern)
    return re.compile(
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), re.DOTALL
    )
