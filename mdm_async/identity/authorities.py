"""What the CA directory and the VOMS directory hold, and when it changed."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from mdm_async.identity.distinguished_name import escaped
from mdm_async.identity.revocation_lists import RevocationList
from mdm_async.identity.shapes import Unreadable
from mdm_async.identity.signing_policy import Patterns, read_signing_policy
from mdm_async.identity.x509 import Certificate, read_pem

Lsc = tuple[str, ...]
"""Distinguished names: of a VOMS server, of its authority, and so on."""

_CERTIFICATE = re.compile(r"[0-9a-f]{8}\.[0-9]\Z")
_REVOCATION_LIST = re.compile(r".+\.r[0-9]\Z")
_NEXT_CHAIN = re.compile(r"-+ *NEXT CHAIN *-+\Z")
_log = structlog.get_logger()

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Authorities:
    """What is in force, by the subject of the authority, or by VO."""

    certificates: Mapping[str, tuple[Certificate, ...]]
    policies: Mapping[str, Patterns]
    revocation_lists: Mapping[str, tuple[RevocationList | None, ...]]
    """None: a file that cannot be read, so that nobody knows whom it revokes."""
    vos: Mapping[str, tuple[Lsc, ...]]

    def holds(self, certificate: Certificate) -> bool:
        """Whether the directory has this very certificate."""
        return any(
            certificate.der == known.der for known in self.certificates.get(str(certificate.subject), ())
        )


def read_lsc(file: bytes) -> tuple[Lsc, ...]:
    """The chains of one LSC file. Raises Unreadable."""
    chains: list[list[str]] = [[]]
    for line in (escaped(line.replace(b"\t", b" ").strip()) for line in file.splitlines()):
        if _NEXT_CHAIN.match(line):
            chains.append([])
        elif line.startswith("/"):
            chains[-1].append(line)
        elif line and not line.startswith("#"):
            raise Unreadable("an LSC file has a line that is no distinguished name")
    if any(len(chain) < 2 for chain in chains):
        raise Unreadable("an LSC file needs the server's name and its authority's")
    return tuple(map(tuple, chains))


class Directories:
    """Reads both directories again, but only the files that changed."""

    def __init__(self, ca_directory: Path, voms_directory: Path | None) -> None:
        self._ca, self._voms = ca_directory, voms_directory
        self._files: dict[Path, tuple[_Stamp, Any]] = {}

    def read(self) -> Authorities | None:
        """What is there now; None when nothing changed. Raises OSError when a directory cannot be read.

        A file that is broken is left out, or stays in force as it was; the log has its name.
        """
        present = {path: (stamp, reader) for path, stamp, reader in self._present()}
        changed = self._files.keys() - present.keys()
        for path in changed:
            del self._files[path]
        fresh = False
        for path, (stamp, reader) in present.items():
            before = self._files.get(path)
            if before is None or before[0] != stamp:
                self._files[path] = stamp, self._read(path, reader, before[1] if before else None)
                fresh = True
        return self._authorities() if fresh or changed else None

    def _present(self) -> Iterator[tuple[Path, _Stamp, Callable[[bytes], Any]]]:
        for path in self._ca.iterdir():
            reader = _reader(path.name)
            if reader is not None and (stamp := _stamp(path)) is not None:
                yield path, stamp, reader
        if self._voms is not None:
            for vo in self._voms.iterdir():
                for path in vo.glob("*.lsc") if vo.is_dir() else ():
                    if (stamp := _stamp(path)) is not None:
                        yield path, stamp, read_lsc

    def _read(self, path: Path, reader: Callable[[bytes], Any], before: Any) -> Any:
        try:
            return reader(path.read_bytes())
        except Exception as why:
            # Whatever it is: authorities write these files, and the next ones must be read all the same.
            _log.warning("a file of the authorities cannot be used", file=path.name, kind=type(why).__name__)
            return before

    def _authorities(self) -> Authorities:
        certificates: dict[str, tuple[Certificate, ...]] = {}
        policies: dict[str, Patterns] = {}
        lists: dict[str, tuple[RevocationList | None, ...]] = {}
        vos: dict[str, tuple[Lsc, ...]] = {}
        for path, (_, value) in sorted(self._files.items()):
            if path.suffix == ".lsc":
                vos[path.parent.name] = vos.get(path.parent.name, ()) + (value or ())
            elif _REVOCATION_LIST.match(path.name):
                for issuer in [str(value.issuer)] if value is not None else self._subjects(path.stem):
                    lists[issuer] = (*lists.get(issuer, ()), value)
            elif isinstance(value, dict):
                for authority, patterns in value.items():
                    policies[authority] = policies.get(authority, ()) + patterns
            elif value is not None:
                for certificate in value:
                    subject = str(certificate.subject)
                    certificates[subject] = (*certificates.get(subject, ()), certificate)
        for issuer, found in lists.items():
            for one in filter(None, found):
                for authority in certificates.get(issuer, ()):
                    one.is_signed_by(authority)  # Found out here, off the event loop.
        return Authorities(certificates, policies, lists, vos)

    def _subjects(self, stem: str) -> list[str]:
        """Of the authorities whose files begin like a revocation list's."""
        return [
            str(certificate.subject)
            for path, (_, value) in self._files.items()
            if path.stem == stem and _CERTIFICATE.match(path.name)
            for certificate in value or ()
        ]


def _reader(name: str) -> Callable[[bytes], Any] | None:
    if _CERTIFICATE.match(name):
        return lambda file: read_pem(file.decode("latin-1"))
    if _REVOCATION_LIST.match(name):
        return RevocationList
    return read_signing_policy if name.endswith(".signing_policy") else None


def _stamp(path: Path) -> _Stamp | None:
    """None when the file went away meanwhile."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
