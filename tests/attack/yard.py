"""A directory of a test's own on the attacked server, with users who have what ACLs give them and no more."""

import os
from dataclasses import dataclass, field
from typing import Any

from tests.attack.arena import RECIPIENT, Arena, rule
from tests.conftest import Reply, Server
from tests.web.made_images import made

EVERY = ("*", "identified")

FULL = "pdrwlxgs"


@dataclass
class User:
    """A local token; its own scope is empty, so that ACLs alone decide, unless the test says otherwise."""

    server: Server
    name: str
    token: str

    @property
    def principal(self) -> str:
        return f"user:{self.name}"

    def may(self, rights: str, *views: str) -> dict[str, Any]:
        return rule(self.principal, rights, *views)

    async def srm(self, operation: str, **body: Any) -> Reply:
        return await self.server.call("POST", f"/srm/v2/{operation}", token=self.token, json=body)

    async def admin(self, method: str, where: str, **body: Any) -> Reply:
        return await self.server.call(method, f"/admin/v1/{where}", token=self.token, json=body)

    async def get(self, surl: str, **options: Any) -> Reply:
        return await self.srm("prepareToGet", files=[{"surl": surl}], **options)

    async def reads(self, surl: str, view: str | None = None, *, sealed: bool = False) -> bool:
        """Whether a transfer URL is given for it."""
        options: dict[str, Any] = {"recipient": RECIPIENT} if sealed or view == "identified" else {}
        if view is not None:
            options["view"] = view
        return b"transferURL" in (await self.get(surl, **options)).body

    async def sees(self, surl: str) -> bool:
        return (await self.srm("ls", surls=[surl])).status == 200

    async def url(self, surl: str, **options: Any) -> str:
        answer = await self.get(surl, **options)
        assert answer.status == 200, answer.body
        return str(answer.tree["files"][0]["transferURL"])


@dataclass
class Yard:
    """`set` gives ACLs, as an administrator."""

    arena: Arena
    path: str
    users: list[User] = field(default_factory=list)

    @property
    def server(self) -> Server:
        return self.arena.server

    def __truediv__(self, name: str) -> str:
        return f"{self.path}/{name}"

    async def user(self, rights: str = "", path: str | None = None, views: list[str] | None = None) -> User:
        name = f"u{os.urandom(5).hex()}"
        token = await self.server.token(rights, path or self.path, views, name=name)
        self.arena.secrets.add(token)
        return User(self.server, name, token)

    async def directory(self, name: str, *rules: dict[str, Any]) -> str:
        await self.server.srm("mkdir", surl=self / name)
        if rules:
            await self.set(self / name, *rules)
        return self / name

    async def file(self, name: str, *rules: dict[str, Any], seed: int = 0) -> str:
        await self.server.put(self / name, made(seed=seed))
        if rules:
            await self.set(self / name, *rules)
        return self / name

    async def set(self, path: str, *rules: dict[str, Any], default: bool = False) -> None:
        await self.arena.set_acl(path, *rules, default=default)

    async def there(self, path: str) -> bool:
        return (await self.server.call(
            "POST", "/srm/v2/ls", token=self.server.admin_token, json={"surls": [path]}
        )).status == 200  # fmt: skip

    async def delivery(self, path: str, **said: str) -> None:
        answer = await self.server.call(
            "PUT", "/admin/v1/delivery", token=self.server.admin_token, json={"surl": path, **said}
        )
        assert answer.status == 200, answer.body


async def link(user: User, source: str, target: str, **options: Any) -> Any:
    return await user.admin("POST", "link", surls=[source], target=target, view="basic", **options)


async def listed(yard: Yard, name: str) -> list[str]:
    tree = await yard.server.srm("ls", surls=[yard / name])
    return [child["path"] for child in tree["files"][0].get("subPaths", ())]
