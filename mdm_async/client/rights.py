"""Rights as a server has them: ACLs, delivery policies and recipients' keys, told and changed."""

from collections.abc import Sequence
from typing import Final

from mdm_async.client.answers import Json
from mdm_async.client.ticket import encode_key
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError

BATCH: Final = 1000
"""Files named in one request."""

_RECIPIENTS = "admin/v1/recipients"
_DELIVERY = "admin/v1/delivery"


class Rights:
    """The operations on rights. Names are LFNs, principals such as `fqan:/vo/group`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def acls(
        self, paths: Sequence[str], principals: Sequence[str] = ()
    ) -> list[tuple[str, Json | MdmError]]:
        """Each path's `rules`, whether they are `inherited` and `inheritedFrom` where, and its `default`; with
        principals (all of one person) what is `effective` for them."""
        return await self._each("getPermission", paths, {"principals": list(principals)})

    async def change(
        self,
        paths: Sequence[str],
        changes: Sequence[Json],
        *,
        default: bool = False,
        inherit: bool = False,
        recursive: bool = False,
    ) -> list[tuple[str, Json | MdmError]]:
        """Change ACLs, or with `inherit` drop them: how many were `changed`, how many `left` for want of rights.

        Each change has a `permissionType` (ADD, REMOVE, CHANGE, SET) and `rules`.
        """
        asked = {"changes": list(changes), "default": default, "inherit": inherit, "recursive": recursive}
        return await self._each("setPermission", paths, asked)

    async def _each(
        self, operation: str, paths: Sequence[str], asked: Json
    ) -> list[tuple[str, Json | MdmError]]:
        outcomes: list[tuple[str, Json | MdmError]] = []
        for start in range(0, len(paths), BATCH):
            answer = await self._wire.srm(operation, {"surls": list(paths[start : start + BATCH]), **asked})
            outcomes += [(str(file["surl"]), error or file) for file, error in answer.files()]
        return outcomes

    async def whoami(self, path: str = "/") -> Json:
        """Who the server takes the caller for, by which credential, and with what rights at `path` (`here`)."""
        return await self._wire.operate("POST", "admin/v1/whoami", {"surl": path}, repeat=True)

    async def delivery(self, path: str) -> Json:
        """How views leave a directory, `identified` and `deidentified`: the `delivery`, and `from` where it comes."""
        return await self._wire.operate("POST", _DELIVERY, {"surl": path}, repeat=True)

    async def set_delivery(
        self, path: str, *, identified: str | None = None, deidentified: str | None = None
    ) -> Json:
        """Set either to `clear`, `sealed` or `inherit`; None leaves it as it is. The answer is that of `delivery`."""
        said = {"identified": identified, "deidentified": deidentified}
        asked = {"surl": path, **{kind: value for kind, value in said.items() if value is not None}}
        return await self._wire.operate("PUT", _DELIVERY, asked, repeat=True)

    async def recipients(self) -> list[Json]:
        """Registered keys, each with its `principal`: all for administrators, one's own for others."""
        return list((await self._wire.operate("GET", _RECIPIENTS))["recipients"])

    async def set_recipient(self, key: bytes, principal: str | None = None) -> str:
        """Register an X25519 public key for the caller, or as an administrator for any principal; for whom."""
        asked = {"key": encode_key(key), **({"principal": principal} if principal is not None else {})}
        return str((await self._wire.operate("PUT", _RECIPIENTS, asked, repeat=True))["principal"])

    async def remove_recipient(self, principal: str | None = None) -> str:
        """Whose key was removed. NotFound when there was none."""
        asked = {"principal": principal} if principal is not None else {}
        return str((await self._wire.operate("POST", f"{_RECIPIENTS}/remove", asked))["principal"])
