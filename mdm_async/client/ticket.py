"""What a prepared transfer needs: the transfer URL and, for a sealed one, all that the strict reader demands."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from yarl import URL

from mdm_async.client.channel import demand_transfer_channel, parse_url
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.layout import SealedPart
from mdm_async.errors import BadRequest, MdmError, WrongContent


@dataclass(frozen=True, slots=True)
class Recipient:
    """A key pair for one request: what is sealed to it opens nowhere else, and never again."""

    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def fresh(cls) -> Self:
        private = new_private_key()
        return cls(private, public_key(private))


@dataclass(frozen=True, slots=True)
class SealedTerms:
    """How a sealed stream must look, as told over the authenticated channel."""

    recipient: Recipient
    sender: bytes
    """The X25519 public key that sealed this stream and no other."""
    parts: tuple[SealedPart, ...]
    plain_size: int
    plain_adler32: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """One file, pinned and ready to be pulled."""

    surl: str
    url: URL = field(repr=False)
    """A capability: whoever knows it may pull. Never printed or logged."""
    size: int
    """Bytes that the transfer URL serves; of a sealed transfer the sealed stream's."""
    adler32: str
    """8 hex digits, of what the transfer URL serves."""
    view: str
    pin_seconds: int
    sealed: SealedTerms | None = None

    @property
    def plain_size(self) -> int:
        """Bytes of the view itself."""
        return self.sealed.plain_size if self.sealed else self.size

    @property
    def plain_adler32(self) -> str:
        return self.sealed.plain_adler32 if self.sealed else self.adler32

    @classmethod
    def parse(cls, answer: Json, recipient: Recipient | None) -> Self:
        """From one file of a prepareToGet answer. Asked for sealed, nothing but sealed is accepted.

        Raises WrongContent for an answer that misses something, InsecureChannel for a transfer URL that must
        not carry these bytes.
        """
        try:
            terms = None
            if recipient is not None:
                terms = SealedTerms(
                    recipient=recipient,
                    sender=decode_key(answer["senderPublicKey"]),
                    parts=tuple(_part(part) for part in answer["sealedParts"]),
                    plain_size=int(answer["plainSize"]),
                    plain_adler32=checksum(answer, "plainCheckSum"),
                )
            ticket = cls(
                surl=answer["surl"],
                url=parse_url(answer["transferURL"]),
                size=int(answer["fileSize"]),
                adler32=checksum(answer, "checkSum"),
                view=str(answer["view"]),
                pin_seconds=int(answer.get("remainingPinTime") or 0),
                sealed=terms,
            )
        except (KeyError, TypeError, ValueError, BadRequest) as why:
            raise WrongContent(f"the server's answer to prepareToGet is not understood ({why})") from None
        demand_transfer_channel(ticket.url, sealed=ticket.sealed is not None)
        return ticket


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a bulk prepare gave: tickets, and the reason for each file that has none, by SURL as asked."""

    tokens: tuple[str, ...]
    """Of the requests, for releasing them."""
    tickets: tuple[Ticket, ...]
    failures: dict[str, MdmError]

    def joined(self, later: "Prepared") -> "Prepared":
        """Both; a file that was prepared or refused later counts as it did then."""
        served = {ticket.surl for ticket in later.tickets}
        earlier = {path: error for path, error in self.failures.items() if path not in served}
        failures = {**earlier, **later.failures}
        return Prepared(self.tokens + later.tokens, self.tickets + later.tickets, failures)

    def in_order(self, asked: Sequence[str]) -> "Prepared":
        place = {path: number for number, path in enumerate(asked)}
        tickets = sorted(self.tickets, key=lambda ticket: place[ticket.surl])
        return Prepared(self.tokens, tuple(tickets), self.failures)

    def only(self) -> Ticket:
        """The ticket of a request for one file; raises what refused it."""
        for error in self.failures.values():
            raise error
        if len(self.tickets) != 1:
            raise WrongContent("the server did not answer for the file that was asked for")
        return self.tickets[0]

    @classmethod
    def parse(cls, answer: Reply, asked: Sequence[str], recipient: Recipient | None) -> Self:
        """From a prepareToGet answer, in the order asked. A file without an answer counts as failed."""
        tickets: list[Ticket] = []
        failures: dict[str, MdmError] = {}
        by_surl = {file.get("surl"): (file, error) for file, error in answer.files()}
        missing = WrongContent("the server did not answer for a file that was asked for")
        for surl in asked:
            file, error = by_surl.get(surl, ({}, missing))
            try:
                if error is not None:
                    raise error
                tickets.append(Ticket.parse(file, recipient))
            except MdmError as why:
                failures[surl] = why
        return cls((answer.token,) if answer.token else (), tuple(tickets), failures)


def _part(answer: Json) -> SealedPart:
    prefix = bytes.fromhex(answer["noncePrefix"])
    return SealedPart(int(answer["plainSize"]), prefix, padded=bool(answer.get("padded")))


def decode_key(text: str) -> bytes:
    """A 32-byte public key from base64; ValueError otherwise."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as why:
        raise ValueError("a key is not base64") from why
    if len(key) != 32:
        raise ValueError("a key is not 32 bytes")
    return key


def encode_key(key: bytes) -> str:
    return base64.b64encode(key).decode()


def checksum(answer: Json, field_name: str) -> str:
    """An ADLER32 of 8 hex digits; ValueError for another kind, KeyError for none."""
    if answer.get(f"{field_name}Type", "ADLER32") != "ADLER32":
        raise ValueError("a checksum is not ADLER32")
    value = str(answer[f"{field_name}Value"]).lower()
    if len(value) != 8 or set(value) - set("0123456789abcdef"):
        raise ValueError("an ADLER32 is not 8 hex digits")
    return value
