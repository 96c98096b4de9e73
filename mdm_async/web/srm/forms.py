"""The requests of SRM v2.2 that we take, with the standard's field names (arrays without their `arrayOf…` wrapping)."""

import base64
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mdm_async import rules as acl_rules
from mdm_async.crypt4gh.exchange import agree, new_private_key
from mdm_async.errors import BadRequest, BadSeal, UnknownRequest
from mdm_async.images.names.listing import MOST, NOTHING, Page
from mdm_async.images.rights import modes
from mdm_async.images.rights.modes import Mode
from mdm_async.names import Caller
from mdm_async.rules import Kind, Rule, Step
from mdm_async.web.http import cursor
from mdm_async.web.http.fields import Many, Names, SurlText, Text

MOST_COPIES = 100
"""Files of one srmCopy."""


class _Request(BaseModel):
    # Grid clients send fields that mean nothing here (space tokens, user ids): they are passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Nothing(_Request):
    pass


class Surls(_Request):
    surls: Many[SurlText] = Field(min_length=1)


class OneSurl(_Request):
    surl: SurlText


class Ls(Surls):
    offset: int = Field(0, ge=0, lt=1 << 62)
    count: int = Field(1000, ge=0, le=MOST)
    fullDetailedList: bool = False  # noqa: N815
    numOfLevels: int = Field(1, ge=0, le=1)  # noqa: N815
    cursor: str | None = Field(None, max_length=512)

    def page(self) -> Page:
        """Raises BadRequest for a cursor that is none, or that might be of another directory."""
        if not self.numOfLevels:
            return NOTHING
        if self.cursor is None:
            return Page(self.count, offset=self.offset)
        if len(self.surls) > 1 or self.offset:
            raise BadRequest(
                "a cursor is of one directory, and takes no offset", remedy="ask for each by itself"
            )
        return Page(self.count, after=cursor.decode(self.cursor))


class Mkdir(OneSurl):
    parents: bool = False


class Rmdir(OneSurl):
    recursive: bool = False


class Mv(_Request):
    fromSURL: SurlText  # noqa: N815
    toSURL: SurlText  # noqa: N815


class GetFile(_Request):
    surl: SurlText


class PrepareToGet(_Request):
    files: Many[GetFile] = Field(min_length=1)
    view: Text | None = None
    desiredPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    recipient: Text | None = None
    transferProtocols: Names | None = None  # noqa: N815
    userRequestDescription: Text | None = Field(None, max_length=200)  # noqa: N815
    cohort: SurlText | None = None

    def recipient_key(self) -> bytes | None:
        return None if self.recipient is None else decode_key(self.recipient)


class PutFile(_Request):
    surl: SurlText
    expectedFileSize: int | None = Field(None, ge=0)  # noqa: N815


class PrepareToPut(_Request):
    files: Many[PutFile] = Field(min_length=1)
    overwrite: bool = False
    createParents: bool = False  # noqa: N815
    desiredPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    transferProtocols: Names | None = None  # noqa: N815
    userRequestDescription: Text | None = Field(None, max_length=200)  # noqa: N815


class CopyFile(_Request):
    sourceSURL: SurlText  # noqa: N815
    targetSURL: SurlText  # noqa: N815


class ExtraInfo(_Request):
    key: Text = Field(max_length=100)
    value: Text


class Copy(_Request):
    """One side of each file is here. `storageSystemInfo`: header fields for the other server, such as Authorization."""

    files: list[CopyFile] = Field(min_length=1, max_length=MOST_COPIES)
    overwrite: bool = False
    storageSystemInfo: list[ExtraInfo] = Field([], max_length=20)  # noqa: N815


class OfCopy(_Request):
    requestToken: Text  # noqa: N815


class DoneFile(_Request):
    surl: SurlText
    size: int | None = Field(None, ge=0)
    sha256: Text | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")


def request_token(text: str) -> UUID:
    """Raises UnknownRequest for what is none: nobody has such a request."""
    try:
        return UUID(text)
    except ValueError:
        raise UnknownRequest() from None


class OfRequest(_Request):
    requestToken: Text  # noqa: N815
    surls: Many[SurlText] | None = None

    def token(self) -> UUID:
        return request_token(self.requestToken)


class PutDone(OfRequest):
    files: Many[DoneFile] | None = None


class Release(_Request):
    requestToken: Text | None = None  # noqa: N815
    surls: Many[SurlText] | None = None

    def token(self) -> UUID | None:
        return None if self.requestToken is None else request_token(self.requestToken)


class AbortFiles(OfRequest):
    surls: Many[SurlText] = Field(min_length=1)


class Extend(OfRequest):
    newPinLifeTime: int | None = Field(None, ge=1)  # noqa: N815
    newFileLifeTime: int | None = Field(None, ge=1)  # noqa: N815


class SpaceTokens(_Request):
    userSpaceTokenDescription: Text | None = None  # noqa: N815


class SpaceMetaData(_Request):
    spaceTokens: Names = Field(min_length=1)  # noqa: N815


class RequestTokens(_Request):
    userRequestDescription: Text | None = None  # noqa: N815


class RequestSummary(_Request):
    requestTokens: Many[Text] = Field(min_length=1)  # noqa: N815


class GetPermission(Surls):
    principals: Names = []
    """All of one person: what they may do by the ACL is told too."""

    def parsed_principals(self) -> list[str]:
        return [acl_rules.parse_principal(one) for one in self.principals]


class PermissionRule(_Request):
    """`rights` may be left out of what is removed: all that the principal has."""

    principal: Text
    rights: Text = Field("", max_length=9)
    views: Names | None = None

    def rule(self, kind: Kind) -> Rule:
        if kind is Kind.REMOVE and not self.rights and self.views is None:
            return Rule(acl_rules.parse_principal(self.principal), "")
        if not self.rights and kind is not Kind.REMOVE:
            raise BadRequest("a rule gives no right", remedy="name rights, letters of 'pdrwlxgsi'")
        return acl_rules.rule(self.principal, self.rights, self.views)


class PermissionStep(_Request):
    permissionType: Kind  # noqa: N815
    rules: list[PermissionRule] = Field(max_length=acl_rules.MOST_RULES)

    def step(self) -> Step:
        return Step(self.permissionType, tuple(one.rule(self.permissionType) for one in self.rules))


class UserMode(_Request):
    userID: Text  # noqa: N815
    mode: Mode


class GroupMode(_Request):
    groupID: Text  # noqa: N815
    mode: Mode


class SetPermission(Surls):
    """One step by its two fields, or several that are taken one after the other; or the standard's own modes."""

    permissionType: Kind | None = None  # noqa: N815
    rules: list[PermissionRule] = Field([], max_length=acl_rules.MOST_RULES)
    changes: list[PermissionStep] = Field([], max_length=100)
    default: bool = False
    inherit: bool = False
    recursive: bool = False
    ownerPermission: Mode | None = None  # noqa: N815
    userPermissions: list[UserMode] = Field([], max_length=acl_rules.MOST_RULES)  # noqa: N815
    groupPermissions: list[GroupMode] = Field([], max_length=acl_rules.MOST_RULES)  # noqa: N815
    otherPermission: Mode | None = None  # noqa: N815

    @property
    def in_modes(self) -> bool:
        owner, other = self.ownerPermission, self.otherPermission
        return bool(self.userPermissions or self.groupPermissions) or (owner, other) != (None, None)

    def steps(self, caller: Caller) -> tuple[Step, ...]:
        """Raises BadRequest."""
        if self.in_modes:
            return self._steps_to_modes(caller)
        named = list(self.changes)
        if self.permissionType is not None:
            named.insert(0, PermissionStep(permissionType=self.permissionType, rules=self.rules))
        elif self.rules:
            raise BadRequest("rules without a permissionType", remedy="ADD, REMOVE, CHANGE or SET")
        return tuple(one.step() for one in named)

    def _steps_to_modes(self, caller: Caller) -> tuple[Step, ...]:
        if self.rules or self.changes or self.permissionType in (None, Kind.SET):
            raise BadRequest(
                "modes are neither rules nor a whole ACL",
                remedy="give a permissionType of ADD, REMOVE or CHANGE, and modes alone",
            )
        users = [(one.userID, one.mode) for one in self.userPermissions]
        groups = [(one.groupID, one.mode) for one in self.groupPermissions]
        named = modes.asked(caller, self.ownerPermission, users, groups, self.otherPermission)
        return modes.steps(self.permissionType, named)


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
