"""A file that comes to its transfer URL. It is whole and durable then, but has no name until putDone."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mdm_async import scitags
from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights.tokens import digest
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.crypt4gh.segment import padded
from mdm_async.errors import Exists, Gone, InsecureChannel, WrongContent
from mdm_async.images.intake.comparing import compared
from mdm_async.images.intake.draft import Draft
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.unsealing import peeked, unsealed
from mdm_async.images.metrics import INGESTED
from mdm_async.images.parts.hashing import Digest
from mdm_async.images.transfers.announced import unseal
from mdm_async.images.transfers.judging import Judge
from mdm_async.names import Caller, Payer, parse_surl, split


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived, unsealed: size in bytes and checksum."""

    size: int
    adler32: int


async def open_upload(judge: Judge, token: str) -> Grant:
    """The grant behind a write transfer URL. Raises Gone when it takes no file."""
    async with judge.database.acquire() as db:
        found = await grants.by_turl(db, digest(token))
    if found is None or not found.serves or found.grant.operation != "put":
        raise Gone(remedy="prepare the upload again")
    if not await judge.still_allowed([found.grant]):
        raise Gone(remedy="prepare the upload again")
    return found.grant


async def receive(
    intake: Intake,
    grant: Grant,
    body: AsyncIterator[bytes],
    *,
    length: int | None,
    secure: bool,
    payer: Payer,
    source: str,
    digests: Sequence[Digest] = (),
    force: bool = False,
) -> Received:
    """Take the file. `length` is what the transport announced (bytes), `digests` are of the bytes as they are sent;
    `secure`: whether it may carry clear bytes. `source` is the address that they come from, `payer` who answers for
    what they take. `force`: who sends it vouches for a file that breaks PS3.10.

    Raises what `Draft.fill` does, BadSeal, InsecureChannel, BadRequest for a name that reveals, Gone.
    """
    assert grant.parent is not None
    assert grant.name is not None
    if digests:
        body = compared(intake.workshop.cipher, body, digests)
    sealed, body = await peeked(body)
    if not sealed and not secure:
        raise InsecureChannel(
            "clear bytes do not cross plain HTTP", remedy="use https, or seal the file to uploadRecipient"
        )
    private = _upload_key(intake, grant)
    if sealed and private is None:
        raise Gone("putDone has been answered: nothing opens what is sealed for this upload any more")
    announced = unseal(private, grant) if private is not None else None
    if not sealed and length is not None:
        if announced is not None and length != announced:
            raise WrongContent(f"{length} bytes are sent but {announced} were announced by prepareToPut")
        announced = length
    if sealed and private is not None:
        body = unsealed(intake.workshop.cipher, body, private)
    async with intake.draft(grant.parent, body, payer, announced=announced, force=force) as draft:
        name = await intake.safe_name(draft, split(parse_surl(grant.surl).lfn)[0], grant.name)
        async with intake.database.transaction() as db:
            won = await grants.settle(
                db, grant, "uploaded", "open", image=draft.image, sealed=sealed, name=name
            )
            if won:
                await draft.store(db, grant.owner)
                await acts.record(db, [_act(grant, source, draft)])
        if won:
            draft.keep()
            INGESTED.labels(draft.state).inc()
            scitags.count(scitags.shown.get(), "in", padded(draft.size))
        else:
            await _demand_repeated(intake, grant, draft)
    return Received(draft.size, draft.adler32)


def _upload_key(intake: Intake, grant: Grant) -> bytes | None:
    """None after putDone, which destroys it: then the same bytes may come once more, in the clear."""
    if grant.secret is None:
        return None
    return intake.shelf.keys.unwrap_grant(grant.secret, grant.request, grant.item)


def _act(grant: Grant, source: str, draft: Draft) -> Act:
    """Whoever has the transfer URL may use it. An original's exact size would identify it."""
    who = Caller(grant.caller, frozenset(), source=source)
    details = {"transfer": grant.turl.hex()[:16], **scitags.details(scitags.shown.get())}
    return Act(who, "upload", bytes=padded(draft.size), details=details)


async def _demand_repeated(intake: Intake, grant: Grant, draft: Draft) -> None:
    """Somebody was here before: fine if he brought the same bytes."""
    async with intake.database.acquire() as db:
        found = await grants.by_turl(db, grant.turl)
        if found is None or found.grant.image is None or found.grant.state not in ("uploaded", "done"):
            raise Gone(remedy="prepare the upload again")
    there = await intake.shelf.original(intake.database, found.grant.image)
    if there is None or there.sha256 != draft.sha256:
        raise Exists(
            "another file was already uploaded to this transfer URL", remedy="prepare another upload"
        )
