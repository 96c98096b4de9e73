"""The requests of SRM v2.2 that we take, with the standard's field names (arrays without their `arrayOf…` wrapping)."""

import base64
import binascii

from pydantic import BaseModel, ConfigDict, Field

from mdm_async.errors import BadRequest

KEY_BYTES = 32


class _Request(BaseModel):
    # Grid clients send fields that mean nothing here (space tokens, user ids): they are passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Nothing(_Request):
    pass


class Surls(_Request):
    surls: list[str] = Field(min_length=1)


class OneSurl(_Request):
    surl: str


class Ls(Surls):
    offset: int = Field(0, ge=0)
    count: int = Field(1000, ge=0, le=10_000)
    fullDetailedList: bool = False  # noqa: N815
    numOfLevels: int = Field(1, ge=0, le=1)  # noqa: N815


class Rmdir(OneSurl):
    recursive: bool = False


class Mv(_Request):
    fromSURL: str  # noqa: N815
    toSURL: str  # noqa: N815


class GetFile(_Request):
    surl: str


class PrepareToGet(_Request):
    files: list[GetFile] = Field(min_length=1)
    view: str | None = None
    desiredPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    recipient: str | None = None
    transferProtocols: list[str] | None = None  # noqa: N815
    userRequestDescription: str | None = Field(None, max_length=200)  # noqa: N815

    def recipient_key(self) -> bytes | None:
        return None if self.recipient is None else decode_key(self.recipient)


class PutFile(_Request):
    surl: str
    expectedFileSize: int | None = Field(None, ge=0)  # noqa: N815


class PrepareToPut(_Request):
    files: list[PutFile] = Field(min_length=1)
    overwrite: bool = False
    desiredPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    transferProtocols: list[str] | None = None  # noqa: N815
    userRequestDescription: str | None = Field(None, max_length=200)  # noqa: N815


class DoneFile(_Request):
    surl: str
    size: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")


class OfRequest(_Request):
    requestToken: str  # noqa: N815
    surls: list[str] | None = None


class PutDone(OfRequest):
    files: list[DoneFile] | None = None


class Release(_Request):
    requestToken: str | None = None  # noqa: N815
    surls: list[str] | None = None


class AbortFiles(OfRequest):
    surls: list[str] = Field(min_length=1)


class Extend(OfRequest):
    newPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    newFileLifeTime: int | None = Field(None, ge=1)  # noqa: N815


class RequestTokens(_Request):
    userRequestDescription: str | None = None  # noqa: N815


class RequestSummary(_Request):
    requestTokens: list[str] = Field(min_length=1)  # noqa: N815


def decode_key(text: str) -> bytes:
    """A Crypt4GH X25519 public key in base64. Raises BadRequest."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadRequest("the recipient is not the base64 of a 32-byte X25519 public key")
    return key
