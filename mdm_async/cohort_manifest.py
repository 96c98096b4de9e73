"""The manifest of a cohort: which versions of which views it pins, their sizes and checksums, signed with the audit's
key.

It is a text in ASCII: JSON with sorted keys, indented by two. The statement's `digest` is over the members' digests, in
their order, and each member's digest is over the canonical JSON of what is said of it, salted. So whoever may not read
a member is told its digest alone, which tells nothing, and can verify the whole all the same.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mdm_async.errors import WrongContent

KIND: Final = "mdm cohort manifest 1"
_SIGNED: Final = KIND.encode() + b"\n"
_MALFORMED: Final = "this is no manifest of a cohort, or it has been changed"
_AS_WRITTEN: Final = "ask for it as it was written: mdm cohort export"


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A member: the entry's GUID, the version of the view that is pinned, and what its bytes are."""

    guid: str
    view: str
    version: str
    size: int
    adler32: str
    """Eight hex digits."""
    sha256: str | None
    """None where the cohort's files are too many to be read when it is made."""
    salt: str

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).digest()

    def is_in(self, pieces: Iterable[bytes]) -> bool:
        """Whether these bytes are its."""
        size, adler, sha256 = 0, 1, hashlib.sha256()
        for piece in pieces:
            size += len(piece)
            adler = zlib.adler32(piece, adler)
            sha256.update(piece)
        return (self.size, self.adler32) == (size, f"{adler:08x}") and self.sha256 in (
            None,
            sha256.hexdigest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is signed."""

    cohort: str
    """Its GUID."""
    installation: str
    at: str
    """When it was made, ISO 8601 in UTC."""
    by: str
    view: str | None
    """None: each entry's default view of then."""
    query: str | None
    """What it was selected by; None of a list, and where a member's view is identifying, as the query may be."""
    members: int
    digest: str

    def signed(self, private: Ed25519PrivateKey) -> dict[str, Any]:
        public = private.public_key().public_bytes_raw()
        tree = {**asdict(self), "manifest": KIND, "publicKey": base64.b64encode(public).decode()}
        signature = private.sign(_SIGNED + _text(tree).encode())
        return {**tree, "signature": base64.b64encode(signature).decode()}


def digest_of(digests: Iterable[bytes]) -> str:
    """The statement's, of those of the members in their order."""
    whole = hashlib.sha256(_SIGNED)
    for one in digests:
        whole.update(one)
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as somebody is told it. Of members that they may not read there is the digest only."""

    statement: Statement
    signed_by: str
    """The id of the key, as seals name it."""
    members: Sequence[PinnedFile | bytes]
    told: dict[str, Any]
    """The signed statement, as it came."""

    @property
    def files(self) -> list[PinnedFile]:
        """Those that may be read."""
        return [one for one in self.members if isinstance(one, PinnedFile)]

    @classmethod
    def verified(
        cls, told: dict[str, Any], members: Iterable[dict[str, Any]], keys: Collection[bytes] | None
    ) -> Self:
        """What these say, if it is as it was signed by one of `keys` (of 32 bytes); without any, by whomever.

        Raises WrongContent.
        """
        try:
            rest = dict(told)
            signature = base64.b64decode(rest.pop("signature"), validate=True)
            raw = base64.b64decode(rest["publicKey"], validate=True)
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, _SIGNED + _text(rest).encode())
            is_one = rest.pop("manifest") == KIND
            del rest["publicKey"]
            statement = Statement(**rest)
            found = [PinnedFile(**one) if "guid" in one else bytes.fromhex(one["digest"]) for one in members]
        except InvalidSignature:
            raise WrongContent("the manifest is not as it was signed", remedy=_AS_WRITTEN) from None
        except (AttributeError, KeyError, TypeError, ValueError):
            is_one = False
        if not is_one:
            raise WrongContent(_MALFORMED, remedy=_AS_WRITTEN)
        digests = (one.digest if isinstance(one, PinnedFile) else one for one in found)
        if len(found) != statement.members or digest_of(digests) != statement.digest:
            raise WrongContent("the manifest's members are not those that were signed", remedy=_AS_WRITTEN)
        signed_by = hashlib.sha256(raw).hexdigest()[:16]
        if keys is not None and raw not in keys:
            raise WrongContent(
                f"the manifest is signed by the key {signed_by}, which is none of those given",
                remedy="give the public keys of the server that is to have signed it: DIR/audit/audit.pub",
            )
        return cls(statement, signed_by, found, told)

    @classmethod
    def parse(cls, text: str | bytes, keys: Collection[bytes] | None) -> Self:
        """The text of a manifest. Raises as `verified`."""
        try:
            tree = json.loads(text)
            members = tree.pop("files")
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise WrongContent(_MALFORMED, remedy=_AS_WRITTEN) from None
        return cls.verified(tree, members, keys)

    def text(self) -> str:
        files = [
            asdict(one) if isinstance(one, PinnedFile) else {"digest": one.hex()} for one in self.members
        ]
        return _text({**self.told, "files": files})


def _text(tree: dict[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, indent=2) + "\n"
