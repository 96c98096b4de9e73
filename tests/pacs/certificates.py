"""Certificates of devices, as tests have them."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme


@dataclass
class Certificates:
    """Of a server, a device and somebody else, as PEM files."""

    folder: Path

    def __post_init__(self) -> None:
        self.authority, self.others = trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        for name, issuer in (
            ("server", self.authority),
            ("ct", self.authority),
            ("mr", self.others),
            ("store", self.others),
        ):
            issued = issuer.issue_cert("127.0.0.1", "localhost", common_name=name)
            issued.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.pem"))
            issued.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))
            (self.folder / f"{name}.key").chmod(0o600)

    def at(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def server(self) -> Mapping[str, str]:
        """The section of the settings."""
        return {"tls_cert": self.at("server.pem"), "tls_key": self.at("server.key")}

    def shown(self, name: str | None) -> ssl.SSLContext:
        """Of a client that shows this one."""
        context = ssl.create_default_context(cafile=self.at("ca.pem"))
        if name is not None:
            context.load_cert_chain(self.at(f"{name}.pem"), self.at(f"{name}.key"))
        return context


_FOLDER = TemporaryDirectory(prefix="mdm-certificates-")


@cache
def of_tests() -> Certificates:
    """Those that all tests of a process may share."""
    return Certificates(Path(_FOLDER.name))
