"""The requests of SRM v2.2 that we take, with the standard's field names (arrays without their `arrayOf…` wrapping)."""

import base64
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mdm_async.crypt4gh.exchange import agree, new_private_key
from mdm_async.errors import BadRequest, BadSeal


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("text may not hold NUL")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""What the catalog can keep: Postgres takes no NUL."""


class _Request(BaseModel):
    # Grid clients send fields that mean nothing here (space tokens, user ids): they are passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Nothing(_Request):
    pass


class Surls(_Request):
    surls: list[Text] = Field(min_length=1)


class OneSurl(_Request):
    surl: Text


class Ls(Surls):
    offset: int = Field(0, ge=0, lt=1 << 63)
    count: int = Field(1000, ge=0, le=10_000)
    fullDetailedList: bool = False  # noqa: N815
    numOfLevels: int = Field(1, ge=0, le=1)  # noqa: N815


class Rmdir(OneSurl):
    recursive: bool = False


class Mv(_Request):
    fromSURL: Text  # noqa: N815
    toSURL: Text  # noqa: N815


class GetFile(_Request):
    surl: Text


class PrepareToGet(_Request):
    files: list[GetFile] = Field(min_length=1)
    view: Text | None = None
    desiredPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    recipient: Text | None = None
    transferProtocols: list[Text] | None = None  # noqa: N815
    userRequestDescription: Text | None = Field(None, max_length=200)  # noqa: N815

    def recipient_key(self) -> bytes | None:
        return None if self.recipient is None else decode_key(self.recipient)


class PutFile(_Request):
    surl: Text
    expectedFileSize: int | None = Field(None, ge=0)  # noqa: N815


class PrepareToPut(_Request):
    files: list[PutFile] = Field(min_length=1)
    overwrite: bool = False
    desiredPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    transferProtocols: list[Text] | None = None  # noqa: N815
    userRequestDescription: Text | None = Field(None, max_length=200)  # noqa: N815


class DoneFile(_Request):
    surl: Text
    size: int | None = Field(None, ge=0)
    sha256: Text | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")


class OfRequest(_Request):
    requestToken: Text  # noqa: N815
    surls: list[Text] | None = None


class PutDone(OfRequest):
    files: list[DoneFile] | None = None


class Release(_Request):
    requestToken: Text | None = None  # noqa: N815
    surls: list[Text] | None = None


class AbortFiles(OfRequest):
    surls: list[Text] = Field(min_length=1)


class Extend(OfRequest):
    newPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    newFileLifeTime: int | None = Field(None, ge=1)  # noqa: N815


class RequestTokens(_Request):
    userRequestDescription: Text | None = None  # noqa: N815


class RequestSummary(_Request):
    requestTokens: list[Text] = Field(min_length=1)  # noqa: N815


def decode_key(text: str) -> bytes:
    """A Crypt4GH X25519 public key in base64. Raises BadRequest, for one of low order too."""
    try:
        key = base64.b64decode(text, validate=True)
        agree(new_private_key(), key)
    except (ValueError, BadSeal):  # binascii.Error is a ValueError
        raise BadRequest(
            "the recipient is not the base64 of a 32-byte X25519 public key", remedy="mdm keygen makes one"
        ) from None
    return key
