"""A tree whose ACLs tests change and ask for."""

import os
from dataclasses import dataclass
from typing import Any

from tests.conftest import Server


@dataclass
class Tree:
    """A directory of the test's own with a file, and a directory below with another."""

    server: Server
    path: str

    @property
    def file(self) -> str:
        return f"{self.path}/file.dcm"

    @property
    def below(self) -> str:
        return f"{self.path}/below"

    @property
    def deep(self) -> str:
        return f"{self.path}/below/deep.dcm"

    async def set(self, surl: str, kind: str, *rules: dict[str, Any], expect: int = 200, **more: Any) -> Any:
        tree = await self.server.srm(
            "setPermission",
            expect=expect,
            surls=[surl],
            permissionType=kind,
            rules=list(rules),
            **more,
        )
        return tree["files"][0]

    async def get(self, surl: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.server.srm("getPermission", surls=[surl], **more))["files"][0]
        return found

    async def rules(self, surl: str) -> list[str]:
        return words((await self.get(surl))["rules"])


def rule(principal: str, rights: str, *views: str) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | ({"views": list(views)} if views else {})


def words(rules: list[dict[str, Any]]) -> list[str]:
    return [
        f"{one['principal']}={one['rights']}" + (f"@{','.join(one['views'])}" if "views" in one else "")
        for one in rules
    ]


def code(line: dict[str, Any]) -> str:
    return str(line["status"]["statusCode"])


async def through_the_root(server: Server) -> None:
    await server.srm(
        "setPermission", surls=["/"], permissionType="SET", rules=[rule("any:authenticated", "x")]
    )


async def someone(server: Server) -> tuple[str, str]:
    """A token without rights of its own, and its principal."""
    name = f"s{os.urandom(4).hex()}"
    return await server.token("", name=name), f"user:{name}"
