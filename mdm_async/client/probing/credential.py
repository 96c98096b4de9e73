"""By what a probe says who it is: a bearer token, or the grid's proxy certificate."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mdm_async.client.discovery import SHARED_TMP, find_token
from mdm_async.errors import BadRequest


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    token: str | None = None
    proxy: Path | None = None

    @property
    def is_there(self) -> bool:
        return self.token is not None or self.proxy is not None

    @classmethod
    def found(cls, cert: Path | None, environ: Mapping[str, str] = os.environ) -> Self:
        """What is given, else a token as WLCG tools look for it, else X509_USER_PROXY or /tmp/x509up_u<uid>."""
        if cert is not None:
            return cls(proxy=cert)
        if (token := find_token(environ)) is not None:
            return cls(token=token)
        if named := environ.get("X509_USER_PROXY"):
            return cls(proxy=Path(named))
        usual = SHARED_TMP / f"x509up_u{os.geteuid()}"
        return cls(proxy=usual if usual.exists() else None)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}


def tls(credential: Credential, ca: Path | None, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Trusts `ca` (a PEM file, or a directory as the grid's), X509_CERT_DIR, and the system's authorities.

    Raises BadRequest for what cannot be read.
    """
    context = ssl.create_default_context()
    directory = ca if ca is not None and ca.is_dir() else None
    if directory is None and (named := environ.get("X509_CERT_DIR")):
        directory = Path(named)
    try:
        if directory is not None:
            context.load_verify_locations(capath=directory)
        if ca is not None and ca.is_file():
            context.load_verify_locations(cafile=ca)
        elif ca is not None and directory is not ca:
            raise FileNotFoundError
    except (OSError, ssl.SSLError):
        raise BadRequest(
            "the authority's certificate cannot be read", remedy="give a PEM file or a directory"
        ) from None
    if credential.proxy is not None:
        try:
            context.load_cert_chain(credential.proxy)
        except (OSError, ssl.SSLError):
            raise BadRequest(
                "the client's certificate cannot be read", remedy="give a PEM file with certificate and key"
            ) from None
    return context
