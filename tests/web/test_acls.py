"""What ACLs give to whom: principals, inheritance, traversal, views."""

from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from tests.conftest import Server
from tests.web.grown_tree import RECIPIENT, Tree, grown

# ACLs


Rules = list[dict[str, Any]]


@dataclass
class Acls:
    """A server whose root can be traversed by all, and one caller without rights of his own."""

    server: Server
    tree: Tree
    token: str
    user: str

    async def set(self, path: str, rules: Rules | None) -> None:
        """The ACL of one entry; None: inherited."""
        place: int | None = None
        async with self.server.house.database.transaction() as db:
            for name in path.strip("/").split("/") if path != "/" else ():
                place = await db.fetchval(
                    "select id from entries where name = $1"
                    " and parent = coalesce($2, (select id from entries where parent is null))",
                    name,
                    place,
                )
            if place is None:
                place = await db.fetchval("select id from entries where parent is null")
            acl = None
            if rules is not None:
                acl = await db.fetchval(
                    "insert into acls (rules, digest) values ($1, $2)"
                    " on conflict (digest) do update set rules = excluded.rules returning id",
                    rules,
                    orjson.dumps(rules),
                )
            await db.execute("update entries set acl = $2 where id = $1", place, acl)

    async def may(self, operation: str, **body: Any) -> bool:
        tree = await self.server.srm(operation, token=self.token, expect=None, **body)
        return bool(tree["returnStatus"]["statusCode"] == "SRM_SUCCESS")

    async def may_read(self, surl: str, **options: Any) -> bool:
        return await self.may("prepareToGet", files=[{"surl": surl}], **options)

    async def may_list(self, surl: str) -> bool:
        return await self.may("ls", surls=[surl])


def rule(principal: str, rights: str, views: list[str] | None = None) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | ({"views": views} if views is not None else {})


@pytest.fixture
async def acls(own_server: Server) -> Acls:
    found = Acls(
        own_server, await grown(own_server), await own_server.token("", name="someone"), "user:someone"
    )
    await found.set("/", [rule("any:authenticated", "x")])
    return found


async def test_an_acl_gives_its_principal_his_rights_and_nobody_else(acls: Acls) -> None:
    tree = acls.tree
    assert not await acls.may_read(tree.file)
    await acls.set(tree.path, [rule("user:other", "xrl"), rule(acls.user, "xr")])
    assert await acls.may_read(tree.file)
    assert not await acls.may_list(tree.path)
    await acls.set(tree.path, [rule("user:other", "xrl")])
    assert not await acls.may_read(tree.file)
    await acls.set(tree.path, [rule("any:authenticated", "xrl")])
    assert await acls.may_read(tree.file)
    assert await acls.may_list(tree.path)


async def test_an_acl_is_inherited_until_another_one_takes_its_place(acls: Acls) -> None:
    tree = acls.tree
    await acls.set(tree.path, [rule(acls.user, "xrl")])
    assert await acls.may_read(f"{tree.full}/below.dcm")
    await acls.set(tree.full, [rule(acls.user, "x")])
    assert not await acls.may_read(f"{tree.full}/below.dcm")
    assert await acls.may_read(tree.file)
    await acls.set(tree.full, None)
    assert await acls.may_read(f"{tree.full}/below.dcm")


async def test_every_directory_above_must_let_him_through(acls: Acls) -> None:
    tree = acls.tree
    await acls.set(tree.path, [rule(acls.user, "l")])
    await acls.set(tree.full, [rule(acls.user, "xrl")])
    assert not await acls.may_read(f"{tree.full}/below.dcm")
    await acls.set(tree.path, [rule(acls.user, "lx")])
    assert await acls.may_read(f"{tree.full}/below.dcm")
    await acls.set("/", [])
    assert not await acls.may_read(f"{tree.full}/below.dcm")


async def test_nobody_traverses_the_entry_itself(acls: Acls) -> None:
    """A file's own ACL needs no `x`, nor does a directory's for its own listing."""
    tree = acls.tree
    await acls.set(tree.path, [rule(acls.user, "x")])
    await acls.set(tree.file, [rule(acls.user, "r")])
    await acls.set(tree.full, [rule(acls.user, "l")])
    assert await acls.may_read(tree.file)
    assert await acls.may_list(tree.full)
    assert not await acls.may_read(f"{tree.full}/below.dcm")


async def test_an_acl_names_views(acls: Acls) -> None:
    tree = acls.tree
    sealed = {"view": "identified", "recipient": RECIPIENT}
    for rights, views, basic, identified in (
        ("xr", None, True, False),
        ("xr", ["identified"], False, False),
        ("xr", ["*"], True, False),
        ("xri", ["*"], True, False),
        ("xri", ["identified"], False, True),
        ("xri", ["*", "identified"], True, True),
    ):
        await acls.set(tree.path, [rule(acls.user, rights, views)])
        assert await acls.may_read(tree.file) is basic, (rights, views)
        assert await acls.may_read(tree.file, **sealed) is identified, (rights, views)


async def test_rights_of_two_rules_do_not_mix_into_the_identified_view(acls: Acls) -> None:
    """`r` on every view from one rule and `i` from another: each names what it is for."""
    tree = acls.tree
    await acls.set(tree.path, [rule(acls.user, "xr", ["*"]), rule("any:authenticated", "xi")])
    assert not await acls.may_read(tree.file, view="identified", recipient=RECIPIENT)


async def test_letters_of_an_acl_are_reported(acls: Acls) -> None:
    tree = acls.tree
    await acls.set(tree.path, [rule(acls.user, "xrlg")])
    answer = await acls.server.srm("checkPermission", token=acls.token, surls=[tree.file])
    assert answer["files"][0]["permission"] == "rlxg"
