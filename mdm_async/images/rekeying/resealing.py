"""What lies sealed under an image's secrets beside its parts, sealed under others: nothing of it is read."""

import os
from dataclasses import replace
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings.generations import Keyed, SealedMember, SealedView
from mdm_async.errors import Damaged
from mdm_async.images.cohorts import facts
from mdm_async.images.parts import pacs_source, record
from mdm_async.images.reading.served import IDENTIFIED_VERSION
from mdm_async.keys.derive import NONCE_BYTES, RecordCipher
from mdm_async.keys.store import IDENTITY, IMAGE, Secrets
from mdm_async.names import IDENTIFIED


def resealed(found: Keyed, before: Secrets, after: Secrets) -> Keyed:
    """All but the parts; the next generation. Takes milliseconds: not for the event loop. Raises Damaged."""
    return _Resealing(found, before, after).all()


class _Resealing:
    def __init__(self, found: Keyed, before: Secrets, after: Secrets) -> None:
        self._found, self._registration = found, after.registration
        self._before, self._after = (
            {kind: RecordCipher(secrets.of(kind), found.image) for kind in (IMAGE, IDENTITY)}
            for secrets in (before, after)
        )

    def all(self) -> Keyed:
        found = self._found
        return replace(
            found,
            registration=self._registration,
            generation=found.generation + 1,
            views=tuple(self._view(one) for one in found.views),
            members=tuple(self._member(one) for one in found.members),
            original=self._of(
                found.original, IDENTITY, IDENTIFIED, IDENTIFIED_VERSION + record.ATTRIBUTES, "attributes"
            ),
            source=self._source(),
        )

    def _view(self, view: SealedView) -> SealedView:
        named = (view.secret, view.name)
        return replace(
            view,
            record=self._of(view.record, *named, view.version, f"record of the view '{view.name}'"),
            report=self._of(
                view.report, *named, view.version + record.REPORT, f"report of the view '{view.name}'"
            ),
        )

    def _member(self, one: SealedMember) -> SealedMember:
        anew = self._of(one.sealed, one.secret, one.view, one.version + facts.KIND, "checksums in a cohort")
        assert anew is not None
        return replace(one, sealed=anew)

    def _source(self) -> tuple[UUID, bytes] | None:
        if self._found.source is None:
            return None
        id_, sealed = self._found.source
        anew = self._of(sealed, IDENTITY, pacs_source.KIND, str(id_), "source")
        assert anew is not None
        return id_, anew

    def _of(self, sealed: bytes | None, secret: str, view: str, version: str, what: str) -> bytes | None:
        if sealed is None:
            return None
        try:
            return self._after[secret].reseal(
                self._before[secret], sealed, view, version, os.urandom(NONCE_BYTES)
            )
        except InvalidTag:
            raise Damaged(f"the stored {what} does not open", remedy="nothing was changed") from None
