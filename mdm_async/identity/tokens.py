"""Callers by WLCG and OIDC tokens: the issuers that this server trusts, and whom a token speaks for."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from joserfc import jws
from joserfc.errors import JoseError

from mdm_async.errors import BadPath, Unauthenticated, UnsafeSettings
from mdm_async.identity.claims import Terms, caller_of
from mdm_async.identity.compact import ALGORITHMS, MAX_TOKEN_BYTES, CompactToken, parse_compact
from mdm_async.identity.issuer_documents import checked_issuer, fetch_keys, open_session
from mdm_async.identity.key_sets import Key, Keys, KeySet
from mdm_async.names import Caller, parse_lfn
from mdm_async.settings import IssuerSettings

_SIGNATURES = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_SIGNATURES.max_header_length = _SIGNATURES.max_signature_length = MAX_TOKEN_BYTES


class Issuers:
    """The issuers in force. Enter it to open its connections; tokens are judged only within."""

    def __init__(
        self, settings: Sequence[IssuerSettings], default_audience: Sequence[str], ca_directory: Path | None
    ) -> None:
        """Raises UnsafeSettings."""
        self._ca_directory = ca_directory
        self._session: aiohttp.ClientSession | None = None
        self._terms: dict[str, Terms] = {}
        self._keys: dict[str, KeySet] = {}
        for one in settings:
            terms = _terms(one, default_audience)
            if terms.issuer in self._terms:
                raise UnsafeSettings(f"identity.issuers: {terms.issuer} is there twice")
            self._terms[terms.issuer] = terms
            self._keys[terms.issuer] = KeySet(terms.issuer, partial(self._fetch, terms.issuer))

    def __repr__(self) -> str:
        return f"<Issuers: {', '.join(self._terms) or 'none'}>"

    async def __aenter__(self) -> Self:
        self._session = open_session(self._ca_directory)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for keys in self._keys.values():
            await keys.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def caller(self, token: str) -> Caller:
        """Whom the token speaks for.

        Raises Unauthenticated, with a reason that holds no part of the token but, when its signature is good, whom it
        was issued to; Unavailable while its issuer's keys cannot be fetched.
        """
        presented = parse_compact(token)
        terms = self._terms_of(presented)
        _check_signature(presented, await self._key(presented))
        return caller_of(presented.claims, terms, time.time())

    async def caller_again(self, signed: str) -> Caller:
        """As `caller`, of a token that was valid once, without its signature: its issuer, that issuer's keys and terms
        and its own time are looked at anew."""
        presented = parse_compact(f"{signed}.AAAA")
        terms = self._terms_of(presented)
        await self._key(presented)
        return caller_of(presented.claims, terms, time.time())

    def _terms_of(self, token: CompactToken) -> Terms:
        terms = self._terms.get(token.issuer)
        if terms is None:
            raise Unauthenticated(
                "the token's issuer is not one that this server trusts",
                remedy="use a token of one that it does",
            )
        return terms

    async def _key(self, token: CompactToken) -> Key:
        return await self._keys[token.issuer].key(token.kid, token.algorithm)

    async def _fetch(self, issuer: str) -> Keys:
        assert self._session is not None, "Issuers must be entered"
        return await fetch_keys(self._session, issuer)


def _terms(settings: IssuerSettings, default_audience: Sequence[str]) -> Terms:
    issuer = checked_issuer(settings.url)
    audiences = frozenset(settings.audience or default_audience)
    if not audiences:
        raise UnsafeSettings(
            f"identity.issuers: nobody can tell whether a token of {issuer} is made for this server",
            remedy="set server.public_url, or the issuer's audience",
        )
    try:
        return Terms(issuer, audiences, parse_lfn(settings.path))
    except BadPath as why:
        raise UnsafeSettings(
            f"identity.issuers: the path of {issuer} is no directory: {why.detail}"
        ) from None


def _check_signature(token: CompactToken, key: Key) -> None:
    try:
        jws.deserialize_compact(token.text, key, algorithms=[token.algorithm], registry=_SIGNATURES)
    except (JoseError, ValueError):
        raise Unauthenticated(
            "the token's signature does not fit", remedy="send the whole token as it was issued"
        ) from None
