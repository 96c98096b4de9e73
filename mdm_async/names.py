"""The names that cross between rooms: logical file names, SURLs, views, rights and callers."""

import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, NewType, Self
from urllib.parse import unquote
from uuid import UUID

from mdm_async.errors import BadPath, BadRequest

Lfn = NewType("Lfn", str)
"""A logical file name: absolute, NFC, components split by '/', no empty, '.' or '..' component."""

View = NewType("View", str)
"""The name of a view, such as `identified` or `basic`."""

Project = NewType("Project", str)
"""The name of a research project, whose key makes its pseudonyms."""

IDENTIFIED = View("identified")
BASIC = View("basic")
OPAQUE = View("opaque")
"""The one view of a file that is not DICOM."""
ROOT = Lfn("/")

ANYONE = "any:anonymous"
"""The principal that every caller has; one without a credential has no other."""
AUTHENTICATED = "any:authenticated"
LOCAL_GROUP = "group:local#/"
"""What the groups of the mapping file begin with."""

_VIEW = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_SRM = re.compile(r"srm://[^/?#]+(?:(?:/+srm/+managerv2\?SFN=|(?!/+srm/+managerv2\?))(/.*))?\Z", re.DOTALL)
"""gfal2 writes `srm://host/vo/…`, and the root without a path."""
_VIEWED = re.compile(r"/(?:/|\./)*@([^/]*)(.*)\Z", re.DOTALL)
_GUID = re.compile(r"guid:([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z")
_MAX_COMPONENT_BYTES = 255
_MAX_LFN_BYTES = 4096
MOST_SURL_BYTES = 4096
MOST_LEVELS = 64
"""Components of a path: what resolves or locks a path costs that many steps."""

_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[ -$&-.0-[\]-~]{1,255}+)++/?\Z")
"""Paths of printable ASCII without '%' or '\\': nearly all, and nothing of these needs a second look."""
_ENCODED = re.compile(r"%(?:2[ef]|5c|00|c[01]|e0%[89]|f0%8)", re.IGNORECASE)
"""Percent-encoded '.', '/', '\\' and NUL, and UTF-8 longer than need be, of which lax decoders make the same."""
_SLASHES = frozenset("\u0337\u0338\u2044\u2215\u2216\u2571\u2572\u27cb\u27cd\u29f5\u29f8\u29f9\uff0f\uff3c")
_DOTS = frozenset("\u2024\ufe52\uff0e")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""What has no ink, though Unicode counts it among letters, marks and symbols."""
_SCRIPT = re.compile(r"\b(LATIN|CYRILLIC|GREEK|ARMENIAN|CHEROKEE)\b")
"""Scripts that have letters in common as far as the eye can tell."""


class Right(StrEnum):
    """gLite's eight rights and one of ours: `i`, which no other right implies."""

    PERMISSION = "p"
    DELETE = "d"
    READ = "r"
    WRITE = "w"
    LIST = "l"
    EXECUTE = "x"
    GET_METADATA = "g"
    SET_METADATA = "s"
    IDENTITY = "i"


def parse_rights(text: str) -> frozenset[Right]:
    try:
        return frozenset(Right(letter) for letter in text)
    except ValueError:
        raise BadRequest(
            "a right that does not exist was named", remedy="rights are letters of 'pdrwlxgsi'"
        ) from None


class Ability(StrEnum):
    """What a grid's credential may besides the rights that ACLs know."""

    DIRECTORIES = "directories"
    """Make directories at or below its path, and look at and make those that lead there, and nothing else there."""
    RENAME = "rename"
    """Give files at or below its path another name there."""
    STAGE = "stage"
    """Have files brought online, without reading them."""
    POLL = "poll"
    """Be told where the bytes of files are, and nothing else."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a credential allows by itself: these rights on everything at or below `path`.

    `views` are the views that `r` covers; None stands for each directory's default view, "*" for every
    de-identified view. The identified view needs `i` besides.
    """

    path: Lfn
    rights: frozenset[Right]
    views: frozenset[str] | None = None
    also: frozenset[Ability] = frozenset()

    def covers(self, lfn: str) -> bool:
        return self.path == ROOT or lfn == self.path or lfn.startswith(self.path + "/")

    def leads_through(self, lfn: str) -> bool:
        """Whether a directory leads to the path, and the credential may make it where it is missing."""
        above = self.path != lfn and self.path.startswith(lfn.rstrip("/") + "/")
        return above and Ability.DIRECTORIES in self.also


class Credential(StrEnum):
    """By what a caller is known."""

    NONE = "none"
    LOCAL_TOKEN = "local token"  # noqa: S105
    ADMIN_TOKEN = "admin token"  # noqa: S105
    ISSUED_TOKEN = "JWT"  # noqa: S105
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    VOMS = "VOMS proxy"
    MACAROON = "macaroon"
    SOCKET = "socket"


class Payer(NamedTuple):
    """Who answers for what a request takes: a caller, and which of their workers. Those who show no credential are
    one caller together, told apart by where they come from."""

    account: str
    worker: str

    @classmethod
    def of(cls, account: str, owner: str, source: str) -> Self:
        """`owner` as `Caller.owner`; a whole network of IPv6 addresses (/64) is one source, as it is one site's."""
        return cls(account, f"{owner}\n{network(source)}")

    @property
    def room(self) -> str:
        """Whose room on a disk it is: the account's; of those who show no credential, each source's own."""
        return self.worker if self.account == ANYONE else self.account


def network(source: str) -> str:
    """Of an IPv6 address its first 64 bits; all else is as it was."""
    if ":" not in source:
        return source
    try:
        address = ipaddress.IPv6Address(source)
    except ValueError:
        return source
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.IPv6Network((address, 64), strict=False))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as one credential says.

    `name` is the principal that the audit and errors name. `principals` are all that ACLs may name: the caller's own
    and the groups that the mapping file gives them.
    """

    name: str
    principals: frozenset[str]
    scopes: tuple[Scope, ...] = ()
    limited: bool = False
    """A limited proxy: whoever shows it may neither change rights nor see identities."""
    bound: Scope | None = None
    """Of a macaroon: whatever its maker may, it gives these rights at these names at the most."""
    in_person: bool = False
    """Of a macaroon: its maker's own certificate was shown beside it. gfal2 makes another macaroon for each command."""
    until: float | None = field(default=None, compare=False)
    """When the credential ends (Unix time, seconds)."""
    token: int | None = field(default=None, compare=False)
    """The row of the local token presented, so that its revocation stops what it started."""
    source: str = field(default="", compare=False)
    """The address that the request came from."""
    generation: int = field(default=0, compare=False)
    """Of the mapping file, when the groups were taken from it."""
    looked: int | None = field(default=None, compare=False)
    """How many changes were known when the credential was looked up; None: it is not one that the catalog knows."""
    credential: Credential = field(default=Credential.NONE, compare=False)
    macaroon: UUID | None = field(default=None, compare=False)
    """The one that was shown, which is told apart from its maker in the audit."""

    @property
    def is_anonymous(self) -> bool:
        return self.name == ANYONE

    @property
    def payer(self) -> Payer:
        return Payer.of(self.name, self.owner, self.source)

    @property
    def owner(self) -> str:
        """Whose requests these are: the same person's by a credential as strong, and no other's.

        A local token's are its own. What a macaroon, a grid token's capabilities or a limited proxy asked for is for
        the like of them, and they reach nothing that was asked for with more: a macaroon that was narrowed is another.
        """
        # No name or path has a line break in it; a blank could be part of another's name.
        if self.token is not None:
            bounds = () if self.bound is None else _told((self.bound,))
            return "\n".join((self.name, f"token {self.token}", *bounds))
        if self.name not in self.principals:
            return "\n".join((self.name, "capabilities", *_told(self.scopes)))
        return self._person

    @property
    def writer(self) -> str:
        """Who has brought what this caller brings: as `owner`, but in person, whichever macaroon it was."""
        return self._person if self.in_person else self.owner

    @property
    def writers(self) -> tuple[str, ...]:
        """As whom this caller may have brought what is theirs: another server, shown the macaroon alone, brings files
        as nobody's but the macaroon's."""
        return (self.owner, self._person) if self.in_person else (self.owner,)

    @property
    def _person(self) -> str:
        return f"{self.name}\nlimited" if self.limited else self.name


_LONGEST_TOLD = 1024
"""Bytes: owners are indexed."""


def _told(scopes: Iterable[Scope]) -> list[str]:
    """What tells scopes apart from others; of long ones a digest."""
    lines = sorted(" ".join((one.path, "".join(sorted(one.rights)), *sorted(one.also))) for one in scopes)
    whole = "\n".join(lines).encode()
    return lines if len(whole) <= _LONGEST_TOLD else [hashlib.sha256(whole).hexdigest()]


ANONYMOUS = Caller(ANYONE, frozenset({ANYONE}))


@dataclass(frozen=True, slots=True)
class Surl:
    """A site URL, taken apart: the path and the view it names, if any, or the GUID of an entry."""

    path: Lfn | None
    view: View | None = None
    guid: UUID | None = None

    @property
    def lfn(self) -> Lfn:
        """The path. Raises BadPath where a GUID stands that nobody has looked up."""
        if self.path is None:
            raise BadPath("a GUID stands where only a path can", remedy="name the file by its path")
        return self.path


def parse_view(text: str) -> View:
    if not _VIEW.match(text):
        raise BadRequest("a view name is malformed", remedy="use lower-case letters, digits, '-' and '_'")
    return View(text)


def parse_project(text: str) -> Project:
    if not _VIEW.match(text):
        raise BadRequest("a project name is malformed", remedy="use lower-case letters, digits, '-' and '_'")
    return Project(text)


def parse_lfn(text: str) -> Lfn:
    """A user's path as an LFN. Slashes that stand together are one, a `.` component and a slash at the end are nothing:
    so written it is the same entry. Nothing is percent-decoded.

    Raises BadPath on what is not absolute, has a component `..`, or is too long or too deep, and on names that others
    may take for different ones: control and invisible characters, backslashes, look-alikes of slash and dot, a word of
    letters that look alike in two scripts, and what would be any of these when percent-decoded.
    """
    if len(text) > _MAX_LFN_BYTES:
        raise BadPath(f"a path is longer than {_MAX_LFN_BYTES} bytes")
    if _PLAIN.match(text) is not None and text[1] != "@":
        lfn = Lfn(text if text[-1] != "/" else text[:-1])
        _refuse_deep(lfn.count("/"))
        return lfn
    if not text.startswith("/"):
        raise BadPath("a path is not absolute", remedy="give a path that begins with '/'")
    components = [component for component in text.split("/") if component not in ("", ".")]
    if components and components[0].startswith("@"):
        raise BadPath("a name right below the root begins with '@', as only views in SURLs do")
    _refuse_deep(len(components))
    lfn = Lfn("/" + "/".join(_safe(component) for component in components))
    if len(lfn.encode()) > _MAX_LFN_BYTES:
        raise BadPath(f"a path is longer than {_MAX_LFN_BYTES} bytes")
    return lfn


def _refuse_deep(levels: int) -> None:
    if levels > MOST_LEVELS:
        raise BadPath(f"a path has more than {MOST_LEVELS} levels")


def parse_surl(text: str) -> Surl:
    """`/vo/…`, `/@<view>/vo/…`, either behind `srm://host:port/srm/managerv2?SFN=`, or `guid:<uuid>`.

    Raises BadPath.
    """
    if text.startswith("srm://"):
        match = _SRM.match(text)
        if match is None:
            raise BadPath("a SURL is malformed", remedy="use srm://host:port/srm/managerv2?SFN=/vo/…")
        text = match[1] or "/"
    elif text.startswith("guid:"):
        match = _GUID.match(text)
        if match is None:
            raise BadPath("a GUID is malformed", remedy="use guid: and 32 hexadecimal digits, 8-4-4-4-12")
        return Surl(None, None, UUID(match[1]))
    viewed = _VIEWED.match(text) if "@" in text else None
    if viewed is None:
        return Surl(parse_lfn(text))
    if not _VIEW.match(viewed[1]):
        raise BadPath("a path's view is malformed", remedy="use lower-case letters, digits, '-' and '_'")
    return Surl(parse_lfn(viewed[2] or "/"), View(viewed[1]))


def _safe(component: str) -> str:
    """The name in NFC. Raises BadPath, also when it would be unsafe after somebody has percent-decoded it."""
    # Before normalising, which takes the square of the time on long rows of accents.
    if len(component) > _MAX_COMPONENT_BYTES:
        raise BadPath(_TOO_LONG)
    component = unicodedata.normalize("NFC", component)
    _refuse_misleading(component)
    if len(component.encode()) > _MAX_COMPONENT_BYTES:
        raise BadPath(_TOO_LONG)
    if "%" in component:
        _refuse_misleading_when_decoded(component)
    return component


def _refuse_misleading_when_decoded(component: str) -> None:
    for _ in range(3):
        if _ENCODED.search(component):
            raise BadPath("a name holds a percent-encoded slash, dot, backslash or NUL")
        decoded = unquote(component)
        if decoded == component:
            return
        component = decoded
        try:
            _refuse_misleading(component)
        except BadPath as why:
            raise BadPath(f"percent-decoded, {why.detail}") from None
    raise BadPath("a name is percent-encoded over and over")


def _refuse_misleading(component: str) -> None:
    if component in ("", ".", ".."):
        raise BadPath("a path has a component that is '..', or decodes to one that is empty or a dot")
    if component.isascii() and _PLAIN.match("/" + component.replace("%", "")) is not None:
        return
    sorts = {_sort(character) for character in component}
    for sort, reason in _REASONS.items():
        if sort in sorts:
            raise BadPath(reason)
    if unicodedata.category(component[0])[0] == "M":
        raise BadPath("a name in a path begins with an accent")
    if len(sorts - {"", "letter"}) > 1 and _mixes_scripts(component):
        raise BadPath("a word in a path mixes letters of scripts that look alike")
    shown = unicodedata.normalize("NFKC", component)
    if "/" in shown or "\\" in shown or shown in (".", ".."):
        raise BadPath(_REASONS["look-alike"])


def _mixes_scripts(component: str) -> bool:
    script = ""
    for sort in map(_sort, component):
        if sort == "":
            script = ""
        elif sort != "letter":
            if script not in ("", sort):
                return True
            script = sort
    return False


_TOO_LONG = f"a name in a path is longer than {_MAX_COMPONENT_BYTES} bytes"
_REASONS = {
    "control": "a path holds control characters",
    "invisible": "a path holds invisible or unassigned characters",
    "space": "a path holds a space that is not the ordinary one",
    "backslash": "a path holds a backslash",
    "look-alike": "a path holds characters that look like a slash or a dot",
}


@lru_cache(4096)
def _sort(character: str) -> str:
    """The key of the reason to refuse it, the script of a letter that has look-alikes, "letter" for what does not
    end a word, "" for what does."""
    category = unicodedata.category(character)
    if category in ("Cc", "Cs"):
        return "control"
    name = unicodedata.name(character, "")
    if category in ("Cf", "Cn", "Co", "Zl", "Zp") or character in _INVISIBLE or "VARIATION SELECTOR" in name:
        return "invisible"
    if character == "\\":
        return "backslash"
    if character in _SLASHES or character in _DOTS:
        return "look-alike"
    if category == "Zs" and character not in " \u3000":
        return "space"
    if category[0] not in "LMN":
        return ""
    script = _SCRIPT.search(name)
    return script[1] if script is not None and category[0] != "N" else "letter"


def split(lfn: Lfn) -> tuple[Lfn, str]:
    """The parent's LFN and the last component; the root has no name."""
    parent, _, name = lfn.rpartition("/")
    return Lfn(parent or "/"), name


def levels_of(lfn: Lfn) -> int:
    """How deep it lies; the root, 0."""
    return 0 if lfn == ROOT else lfn.count("/")


def join(parent: Lfn, name: str) -> Lfn:
    return Lfn(f"{parent.rstrip('/')}/{name}")
