"""Images destroyed for good: what would go, the destruction, and receipts of it."""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from mdm_async.client.one_or_many import Names, names_of
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import BadRequest

MOST: Final = 1000
"""Files named in one request."""


class Shredding:
    """`mdm.shredding`. What goes is named as files, or as a patient: by a pseudonym of theirs, or the Patient ID."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def look(
        self,
        paths: Names = (),
        *,
        patient: str | None = None,
        issuer: str | None = None,
        as_administrator: bool = False,
    ) -> Json:
        """What would go, in all projects, and nothing does: numbers of `images`, `entries` (those `hidden` from the
        caller among them, and those where the caller is `barred`), `views`, `parts`, `blobs`, `bytes`, `transferURLs`,
        callers it was `deliveredTo`, `replicas` elsewhere, members of `cohorts`, `people` that a patient's images name;
        and the `digest` of it, to shred with.

        `issuer`: of a Patient ID only what this one has issued, "" nobody. It takes `d` and `i` on what is named;
        `as_administrator`: by a grant that the audit tells of.
        """
        asked = _asked(names_of(paths), patient, issuer, as_administrator=as_administrator)
        return await self._wire.operate("POST", "admin/v1/shred/look", asked, repeat=True)

    async def shred(
        self,
        digest: str,
        paths: Names = (),
        *,
        patient: str | None = None,
        issuer: str | None = None,
        as_administrator: bool = False,
        people: int = 1,
        id: str | None = None,
    ) -> Json:
        """Destroy what was looked at, for good: `id`, `state`, and the signed `receipt` as it stands then.

        It takes `d` and `i` on every entry of every image. Conflict when it is not what it was. `id`: a UUID of the
        caller's, so that asking again does no harm.
        """
        asked = _asked(names_of(paths), patient, issuer, as_administrator=as_administrator)
        asked |= {"digest": digest, "people": people, "id": id or str(uuid4())}
        return await self._wire.operate("POST", "admin/v1/shred", asked, repeat=True)

    async def listing(self) -> list[Json]:
        """The caller's own, or everybody's to an administrator, the newest first: `id`, `state`, `images`."""
        return list((await self._wire.operate("GET", "admin/v1/shreds"))["shreds"])

    async def receipt(self, id: str) -> Json:
        """One of them as it stands now, with its signed `receipt`, a text to be kept as it is. NotFound."""
        return await self._wire.operate("GET", f"admin/v1/shreds/{id}")


def _asked(surls: Sequence[str], patient: str | None, issuer: str | None, *, as_administrator: bool) -> Json:
    if len(surls) > MOST:
        raise BadRequest(f"more than {MOST} files are named", remedy="shred them in several goes")
    asked: Json = {"surls": list(surls), "patient": patient or "", "asAdministrator": as_administrator}
    return asked if issuer is None else asked | {"issuer": issuer}
