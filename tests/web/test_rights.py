"""The decision point, asked by every operation: (principal, entry, right, view)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from tests.conftest import Reply, Server
from tests.web.made_images import made

ALL = "pdrwlxgsi"
EVERY_VIEW = ["*", "identified"]
RECIPIENT = "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="


@dataclass
class Tree:
    """A directory with a file, an empty directory, and a directory that holds a file."""

    path: str

    @property
    def file(self) -> str:
        return f"{self.path}/file.dcm"

    @property
    def empty(self) -> str:
        return f"{self.path}/empty"

    @property
    def full(self) -> str:
        return f"{self.path}/full"

    @property
    def missing(self) -> str:
        return f"{self.path}/missing"


async def grown(server: Server) -> Tree:
    tree = Tree(await server.directory())
    await server.put(tree.file, made())
    for directory in (tree.empty, tree.full):
        await server.srm("mkdir", surl=directory)
    await server.put(f"{tree.full}/below.dcm", made(seed=1))
    return tree


@pytest.fixture(scope="module")
async def tree(server: Server) -> Tree:
    """For tests that leave it as it was."""
    return await grown(server)


Body = Callable[[Tree], dict[str, Any]]

OPERATIONS: dict[str, tuple[str, str, Body]] = {
    "list a directory": ("l", "ls", lambda t: {"surls": [t.path]}),
    "make a directory": ("w", "mkdir", lambda t: {"surl": t.missing}),
    "remove a directory": ("d", "rmdir", lambda t: {"surl": t.empty}),
    "remove a tree": ("d", "rmdir", lambda t: {"surl": t.full, "recursive": True}),
    "remove a file": ("d", "rm", lambda t: {"surls": [t.file]}),
    "move away": ("d", "mv", lambda t: {"fromSURL": t.file, "toSURL": t.missing}),
    "move to": ("w", "mv", lambda t: {"fromSURL": t.file, "toSURL": t.missing}),
    "put": ("w", "prepareToPut", lambda t: {"files": [{"surl": t.missing}]}),
    "overwrite": ("d", "prepareToPut", lambda t: {"files": [{"surl": t.file}], "overwrite": True}),
    "overwrite without writing": (
        "w",
        "prepareToPut",
        lambda t: {"files": [{"surl": t.file}], "overwrite": True},
    ),
    "get": ("r", "prepareToGet", lambda t: {"files": [{"surl": t.file}]}),
    "get the identified view": (
        "i",
        "prepareToGet",
        lambda t: {"files": [{"surl": t.file}], "view": "identified", "recipient": RECIPIENT},
    ),
    "get the identified view by its path": (
        "i",
        "prepareToGet",
        lambda t: {"files": [{"surl": f"/@identified{t.file}"}], "recipient": RECIPIENT},
    ),
    "bring online": ("r", "bringOnline", lambda t: {"files": [{"surl": t.file}]}),
    "bring the identified view online": (
        "i",
        "bringOnline",
        lambda t: {"files": [{"surl": t.file}], "view": "identified"},
    ),
}


def codes(tree: dict[str, Any]) -> list[str]:
    """The status codes of the answer's files, or of the request as a whole."""
    return [file["status"]["statusCode"] for file in tree.get("files", ())] or [
        tree["returnStatus"]["statusCode"]
    ]


async def held(server: Server) -> list[tuple[Any, ...]]:
    async with server.archive.database.acquire() as db:
        return [
            tuple(row) for row in await db.fetch("select guid, parent, name, image from entries order by id")
        ]


@pytest.mark.parametrize("what", OPERATIONS)
async def test_all_rights_but_the_needed_one_are_not_enough(server: Server, tree: Tree, what: str) -> None:
    needed, operation, body = OPERATIONS[what]
    token = await server.token(ALL.replace(needed, ""), views=EVERY_VIEW)
    before = await held(server)
    answer = await server.srm(operation, token=token, expect=404 if needed == "l" else 403, **body(tree))
    assert codes(answer) == ["SRM_INVALID_PATH" if needed == "l" else "SRM_AUTHORIZATION_FAILURE"]
    assert "transferURL" not in str(answer)
    assert await held(server) == before


MINIMAL = {
    "overwrite": "wdl",
    "overwrite without writing": "wdl",
    "move away": "dw",
    "move to": "dw",
    "get the identified view": "ri",
    "get the identified view by its path": "ri",
    "bring the identified view online": "ri",
}


@pytest.mark.parametrize("what", OPERATIONS)
async def test_the_needed_rights_are_enough(server: Server, what: str) -> None:
    needed, operation, body = OPERATIONS[what]
    tree = await grown(server)
    token = await server.token(MINIMAL.get(what, needed), views=EVERY_VIEW)
    answer = await server.srm(operation, token=token, **body(tree))
    assert answer["returnStatus"]["statusCode"] == "SRM_SUCCESS"


async def test_metadata_is_told_under_g_or_l(server: Server, tree: Tree) -> None:
    for rights in ("g", "l"):
        token = await server.token(rights)
        answer = await server.srm("ls", token=token, surls=[tree.file])
        assert answer["files"][0]["path"] == tree.file
    token = await server.token(ALL.replace("g", "").replace("l", ""))
    await server.srm("ls", token=token, expect=404, surls=[tree.file])
    # `g` tells of the directory itself, not of what is in it.
    token = await server.token("g")
    answer = await server.srm("ls", token=token, surls=[tree.path], numOfLevels=0)
    assert answer["files"][0]["type"] == "DIRECTORY"
    await server.srm("ls", token=token, expect=404, surls=[tree.path])


def anonymous(reply: Reply, *names: str) -> tuple[int, Any, str]:
    """An answer without what differs from one to the next anyhow, and without the name that was asked for."""
    text = reply.body.decode()
    for name in names:
        text = text.replace(name, "NAME")
    body = orjson.loads(text)
    body.pop("requestId", None)
    body.pop("requestToken", None)
    return reply.status, body, reply.headers["Content-Type"]


@pytest.mark.parametrize("what", OPERATIONS)
async def test_who_may_not_list_cannot_tell_the_hidden_from_the_missing(
    server: Server, tree: Tree, what: str
) -> None:
    """Whatever else he may do elsewhere: the same status, the same body."""
    _, operation, body = OPERATIONS[what]
    elsewhere = await server.directory()
    token = await server.token(ALL, path=elsewhere, views=EVERY_VIEW)
    absent = Tree(f"/d{os.urandom(6).hex()}")
    hidden, missing = [
        anonymous(
            await server.call("POST", f"/srm/v2/{operation}", token=token, json=body(asked)), asked.path
        )
        for asked in (tree, absent)
    ]
    assert hidden == missing
    assert hidden[0] == 404


@pytest.mark.parametrize("operation", ["checkPermission", "releaseFiles"])
async def test_permissions_and_pins_of_the_hidden_look_like_those_of_the_missing(
    server: Server, tree: Tree, operation: str
) -> None:
    token = await server.token(ALL, path=await server.directory())
    hidden, missing = [
        anonymous(
            await server.call("POST", f"/srm/v2/{operation}", token=token, json={"surls": [name]}), name
        )
        for name in (tree.file, tree.missing)
    ]
    assert hidden == missing
    assert hidden[0] == 404


async def test_permissions_are_told_as_letters(server: Server, tree: Tree) -> None:
    token = await server.token("rlg")
    answer = await server.srm("checkPermission", token=token, surls=[tree.file, tree.path])
    assert [file["permission"] for file in answer["files"]] == ["rlg", "rlg"]


async def test_a_reader_may_release_what_he_pinned_though_he_may_not_list(server: Server, tree: Tree) -> None:
    token = await server.token("r")
    line = await server.prepare(tree.file, token=token)
    for _ in range(2):
        await server.srm("releaseFiles", token=token, surls=[tree.file])
    assert (await server.call("GET", line["transferURL"])).status == 410


# Views


async def test_r_without_views_covers_the_default_view_only(server: Server, tree: Tree) -> None:
    token = await server.token("rl")
    assert (await server.prepare(tree.file, token=token))["view"] == "basic"
    assert (await server.prepare(tree.file, token=token, view="basic"))["view"] == "basic"
    for view in ("identified", "other"):
        answer = await server.srm(
            "prepareToGet", token=token, expect=None, files=[{"surl": tree.file}], view=view
        )
        assert codes(answer)[0] != "SRM_FILE_PINNED"
        assert "transferURL" not in str(answer)


@pytest.mark.parametrize("views", [["*"], ["basic"], ["identified"], ["identified", "*"]])
async def test_naming_the_identified_view_does_not_give_i(
    server: Server, tree: Tree, views: list[str]
) -> None:
    token = await server.token(ALL.replace("i", ""), views=views)
    answer = await server.srm(
        "prepareToGet",
        token=token,
        expect=403,
        files=[{"surl": tree.file}],
        view="identified",
        recipient=RECIPIENT,
    )
    assert "'r' on the view 'identified'" in answer["returnStatus"]["explanation"]


@pytest.mark.parametrize("views", [["*"], ["basic"]])
async def test_i_does_not_widen_the_views_named(server: Server, tree: Tree, views: list[str]) -> None:
    token = await server.token("rli", views=views)
    await server.srm(
        "prepareToGet",
        token=token,
        expect=403,
        files=[{"surl": tree.file}],
        view="identified",
        recipient=RECIPIENT,
    )


async def test_a_view_that_is_named_alone_excludes_the_default_one(server: Server, tree: Tree) -> None:
    token = await server.token("rli", views=["identified"])
    await server.srm("prepareToGet", token=token, expect=403, files=[{"surl": tree.file}])
    line = await server.prepare(tree.file, token=token, view="identified", recipient=RECIPIENT)
    assert line["view"] == "identified"


async def test_the_administrator_has_no_i(server: Server, tree: Tree) -> None:
    answer = await server.srm(
        "prepareToGet", expect=403, files=[{"surl": f"/@identified{tree.file}"}], recipient=RECIPIENT
    )
    assert codes(answer) == ["SRM_AUTHORIZATION_FAILURE"]


async def test_the_identified_view_is_not_delivered_in_clear(server: Server, tree: Tree) -> None:
    token = await server.token("rli", views=EVERY_VIEW)
    answer = await server.srm(
        "prepareToGet", token=token, expect=403, files=[{"surl": tree.file}], view="identified"
    )
    status = answer["files"][0]["status"]
    assert "sealed only" in status["explanation"]
    assert "recipient" in status["remedy"]


async def test_a_listing_tells_no_size_of_the_identified_view_without_i(server: Server, tree: Tree) -> None:
    for surl in (f"/@identified{tree.file}", f"/@identified{tree.path}"):
        (line,) = (await server.srm("ls", surls=[surl]))["files"]
        for file in [line, *line.get("subPaths", ())]:
            assert not {"size", "checkSumValue", "viewState"} & file.keys()
    token = await server.token("rli", views=EVERY_VIEW)
    (line,) = (await server.srm("ls", token=token, surls=[f"/@identified{tree.file}"]))["files"]
    assert line["size"] == len(made())


async def test_an_identified_default_view_tells_its_size_to_nobody_without_i(own_server: Server) -> None:
    tree = await grown(own_server)
    async with own_server.archive.database.acquire() as db:
        await db.execute(
            "update entries set default_view = 'identified' where name = $1", tree.path.removeprefix("/")
        )
    for surl in (tree.file, tree.path):
        (line,) = (await own_server.srm("ls", surls=[surl]))["files"]
        for file in [line, *line.get("subPaths", ())]:
            assert not {"size", "checkSumValue"} & file.keys()
    await own_server.srm("prepareToGet", expect=403, files=[{"surl": tree.file}], recipient=RECIPIENT)


# Scopes and tokens


async def test_a_scope_ends_at_a_component(server: Server) -> None:
    base = await server.directory()
    for name in ("bar", "bargain", "ba"):
        await server.srm("mkdir", surl=f"{base}/{name}")
        await server.put(f"{base}/{name}/a.dcm", made())
    token = await server.token("rlw", path=f"{base}/bar/")
    assert (await server.prepare(f"{base}/bar/a.dcm", token=token))["view"] == "basic"
    for outside in ("bargain/a.dcm", "ba/a.dcm", "bargain", ""):
        surl = f"{base}/{outside}".rstrip("/")
        answer = await server.srm("ls", token=token, expect=404, surls=[surl])
        assert codes(answer) == ["SRM_INVALID_PATH"]
    await server.srm("prepareToPut", token=token, expect=404, files=[{"surl": f"{base}/bargain/new.dcm"}])


async def test_a_scope_is_not_left_by_moving(server: Server) -> None:
    base = await server.directory()
    for name in ("mine", "other"):
        await server.srm("mkdir", surl=f"{base}/{name}")
        await server.put(f"{base}/{name}/a.dcm", made())
    token = await server.token(ALL, path=f"{base}/mine")
    for source, target in (("mine/a.dcm", "other/b.dcm"), ("other/a.dcm", "mine/b.dcm")):
        await server.srm(
            "mv", token=token, expect=404, fromSURL=f"{base}/{source}", toSURL=f"{base}/{target}"
        )


@pytest.mark.parametrize("path", ["/../x", "/a/../b", "/a//b", "a", "/a/./b"])
async def test_a_path_that_would_leave_its_scope_is_no_path(server: Server, path: str) -> None:
    await server.srm("ls", expect=400, surls=[path])


async def admin(server: Server, method: str, where: str, token: str, **body: Any) -> Reply:
    return await server.call(method, f"/admin/v1/{where}", token=token, json=body)


async def test_only_administrators_make_and_end_tokens(server: Server) -> None:
    victim = await server.token("r", name=f"victim-{os.urandom(4).hex()}")
    for rights, path in ((ALL.replace("p", ""), "/"), (ALL, await server.directory())):
        token = await server.token(rights, path=path)
        for method, where, body in (
            ("GET", "tokens", {}),
            ("POST", "tokens", {"name": f"n{os.urandom(4).hex()}", "rights": "r"}),
            ("DELETE", "tokens/victim", {}),
            ("POST", "fsck", {}),
            ("POST", "fsck", {"repair": True}),
        ):
            assert (await admin(server, method, where, token, **body)).status == 403
    await server.srm("ping", token=victim)
    assert (await admin(server, "GET", "tokens", await server.token("p"))).status == 200


async def test_an_admin_without_a_token_is_nobody(server: Server) -> None:
    for method, path in (("GET", "tokens"), ("POST", "tokens"), ("DELETE", "tokens/x"), ("POST", "fsck")):
        answer = await server.call(method, f"/admin/v1/{path}")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mdm"'


async def test_a_revoked_token_is_unknown_at_once(server: Server) -> None:
    name = f"gone-{os.urandom(4).hex()}"
    token = await server.token("l", name=name)
    await server.srm("ls", token=token, surls=["/"])
    assert (await admin(server, "DELETE", f"tokens/{name}", server.admin_token)).status == 204
    tree = await server.srm("ls", token=token, expect=401, surls=["/"])
    assert tree["returnStatus"]["statusCode"] == "SRM_AUTHENTICATION_FAILURE"
    assert (await admin(server, "DELETE", f"tokens/{name}", server.admin_token)).status == 404


async def test_an_expired_token_is_unknown(server: Server) -> None:
    name = f"old-{os.urandom(4).hex()}"
    answer = await admin(server, "POST", "tokens", server.admin_token, name=name, rights="l", lifetime=3600)
    token = answer.tree["token"]
    await server.srm("ls", token=token, surls=["/"])
    async with server.archive.database.acquire() as db:
        await db.execute("update tokens set expires = now() - interval '1 s' where name = $1", name)
    await server.srm("ls", token=token, expect=401, surls=["/"])


async def test_no_local_token_takes_the_administrators_name(server: Server) -> None:
    answer = await admin(server, "POST", "tokens", server.admin_token, name="admin", rights="r")
    assert answer.status == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a"},
        {"rights": "r"},
        {"name": "", "rights": "r"},
        {"name": "a/b", "rights": "r"},
        {"name": "x" * 65, "rights": "r"},
        {"name": "a", "rights": "q"},
        {"name": "a", "rights": "r", "path": "relative"},
        {"name": "a", "rights": "r", "views": ["UPPER"]},
        {"name": "a", "rights": "r", "lifetime": 0},
        {"name": "a", "rights": "r", "lifetime": 10**30},
        {"name": "a", "rights": "r", "lifetime": 10**12},
        {"name": "a", "rights": "r", "more": 1},
    ],
)
async def test_a_malformed_token_is_refused(server: Server, body: dict[str, Any]) -> None:
    assert (await admin(server, "POST", "tokens", server.admin_token, **body)).status == 400


async def test_the_list_of_tokens_holds_no_secret(server: Server) -> None:
    name = f"listed-{os.urandom(4).hex()}"
    token = await server.token("rl", name=name, path="/", views=["basic"])
    answer = await admin(server, "GET", "tokens", server.admin_token)
    (line,) = [line for line in answer.tree["tokens"] if line["name"] == name]
    assert (line["rights"], line["path"], line["views"]) == ("lr", "/", ["basic"])
    assert token not in answer.body.decode()
    assert "hash" not in line


async def test_making_and_ending_a_token_is_audited(server: Server) -> None:
    name = f"seen-{os.urandom(4).hex()}"
    await server.token("rli", name=name)
    await admin(server, "DELETE", f"tokens/{name}", server.admin_token)
    async with server.archive.database.acquire() as db:
        acts = await db.fetch("select caller, act, details from audit where details->>'token' = $1", name)
    assert [(row["caller"], row["act"]) for row in acts] == [
        ("user:admin", "token create"),
        ("user:admin", "token revoke"),
    ]
    assert acts[0]["details"]["rights"] == "ilr"


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
        async with self.server.archive.database.transaction() as db:
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
