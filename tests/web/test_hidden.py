"""What is hidden is answered like a free name: by every operation, in random trees, to random callers."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from mdm_async.identity.authenticator import Circumstances
from mdm_async.names import ANYONE, Caller, Lfn
from tests.catalog import acl_model as model
from tests.catalog.acl_model import Node
from tests.catalog.random_trees import callers, planted, trees
from tests.conftest import CI, Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

KEY = "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="

Body = Callable[[str], dict[str, Any]]
May = Callable[[Caller, Node], bool]


def any_of(rights: str) -> May:
    return lambda caller, node: any(model.may(caller, node, right) for right in rights)


def reads(view: str | None) -> May:
    return lambda caller, node: model.may(caller, node, "r", view)


def creates(caller: Caller, node: Node) -> bool:
    return model.may_create(caller, node)


def creates_below(caller: Caller, node: Node) -> bool:
    return model.may_create(caller, node.free("new"))


OPERATIONS: list[tuple[str, May, Body]] = [
    ("srm/v2/ls", any_of("lg"), lambda lfn: {"surls": [lfn]}),
    ("srm/v2/ls", any_of("lg"), lambda lfn: {"surls": [f"/@cardio{lfn}"]}),
    ("srm/v2/checkPermission", any_of("lg"), lambda lfn: {"surls": [lfn]}),
    ("srm/v2/getPermission", any_of("p"), lambda lfn: {"surls": [lfn]}),
    ("srm/v2/setPermission", any_of("p"), lambda lfn: {"surls": [lfn], "inherit": True}),
    ("srm/v2/mkdir", creates, lambda lfn: {"surl": lfn}),
    ("srm/v2/mkdir", creates_below, lambda lfn: {"surl": f"{lfn}/new"}),
    ("srm/v2/rmdir", any_of("d"), lambda lfn: {"surl": lfn, "recursive": True}),
    ("srm/v2/rm", any_of("d"), lambda lfn: {"surls": [lfn]}),
    ("srm/v2/mv", any_of("d"), lambda lfn: {"fromSURL": lfn, "toSURL": "/moved"}),
    ("srm/v2/prepareToPut", creates, lambda lfn: {"files": [{"surl": lfn}]}),
    ("srm/v2/prepareToPut", creates, lambda lfn: {"files": [{"surl": lfn}], "overwrite": True}),
    ("srm/v2/prepareToPut", creates_below, lambda lfn: {"files": [{"surl": f"{lfn}/new"}]}),
    ("srm/v2/prepareToGet", reads(None), lambda lfn: {"files": [{"surl": lfn}], "recipient": KEY}),
    ("srm/v2/prepareToGet", reads("basic"), lambda lfn: {"files": [{"surl": lfn}], "view": "basic"}),
    ("srm/v2/prepareToGet", reads("identified"), lambda lfn: {"files": [{"surl": f"/@identified{lfn}"}]}),
    ("srm/v2/bringOnline", reads(None), lambda lfn: {"files": [{"surl": lfn}]}),
    ("srm/v2/releaseFiles", any_of("lg"), lambda lfn: {"surls": [lfn]}),
    ("admin/v1/report", reads(None), lambda lfn: {"surl": lfn}),
    ("admin/v1/report", reads("basic"), lambda lfn: {"surl": f"/@basic{lfn}"}),
    ("admin/v1/certificate", reads(None), lambda lfn: {"surl": lfn}),
    ("admin/v1/survivors", reads("basic"), lambda lfn: {"surl": f"/@basic{lfn}"}),
    ("meta/v1/attributes", any_of("lg"), lambda lfn: {"path": lfn}),
    ("manifests/v1", any_of("lg"), lambda lfn: {"surls": [lfn], "view": "basic"}),
    ("meta/v1/find", any_of("lg"), lambda lfn: {"query": "Modality is known", "path": lfn}),
    ("admin/v1/delivery", any_of("lg"), lambda lfn: {"surl": lfn}),
    ("admin/v1/intake", any_of("lg"), lambda lfn: {"surl": lfn}),
    ("admin/v1/whoami", any_of("lg"), lambda lfn: {"surl": lfn}),
]


@dataclass
class As:
    """Stands where credentials are looked at: whoever asks is this caller."""

    now: Caller

    async def caller(
        self, authorization: str | None, chain: Sequence[bytes] | None, circumstances: Circumstances
    ) -> Caller:
        return self.now


@pytest.fixture(scope="module")
async def open_server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Server, UUID]]:
    """A server whose root lets everybody through, and the image of the files in trees."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("server") / "data", dsn) as server:
        await server.srm(
            "setPermission",
            surls=["/"],
            permissionType="ADD",
            rules=[{"principal": ANYONE, "rights": "x"}],
        )
        await server.put("/image.dcm", made())
        async with server.house.database.acquire() as db:
            yield server, await db.fetchval("select image from entries where image is not null")


def moved(caller: Caller, base: str) -> Caller:
    """With scopes below the tree's place."""
    scopes = [replace(scope, path=Lfn((base + scope.path).rstrip("/"))) for scope in caller.scopes]
    return replace(caller, scopes=tuple(scopes))


def has_no_right(caller: Caller, node: Node) -> bool:
    by_acl = any(line.rights and line.principal in caller.principals for line in model.in_force(node))
    return not by_acl and not any(s.rights and model.within(s.path, node.lfn) for s in caller.scopes)


@pytest.mark.timeout(1800)  # a hundred trees, on machines that do other things too
@settings(
    max_examples=100 if CI else 25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
async def test_the_hidden_and_the_free_are_answered_alike(
    open_server: tuple[Server, UUID], data: st.DataObject
) -> None:
    server, image = open_server
    tree = data.draw(trees())
    caller = data.draw(callers(tree, grid=False))
    base = await server.directory()
    async with server.house.database.transaction() as db:
        top = await db.fetchval("select id from entries where name = $1", base.strip("/"))
        ids = await planted(db, tree, image, under=top)
        guids = dict(
            await db.fetch("select id, guid from entries where id = any($1::bigint[])", list(ids.values()))
        )
    hidden = [node for node in tree.all() if node.parent is not None and not any_of("l")(caller, node)]
    for node in reversed(hidden):  # what lies below another goes first
        asked = [
            (operation, body(base + node.lfn)) for operation, may, body in OPERATIONS if not may(caller, node)
        ]
        if has_no_right(caller, node):
            asked += [
                (operation, body(f"guid:{guids[ids[node.lfn]]}"))
                for operation, _, body in OPERATIONS
                if "/new" not in str(body("")) and "/@" not in str(body(""))
            ]
        as_hidden = await answers(server, moved(caller, base), asked)
        async with server.house.database.transaction() as db:
            await db.execute(
                "with recursive below as (select $1::bigint as id"
                " union all select e.id from entries e join below b on e.parent = b.id)"
                " delete from entries where id in (select id from below)",
                ids[node.lfn],
            )
        as_free = await answers(server, moved(caller, base), asked)
        for question, one, other in zip(asked, as_hidden, as_free, strict=True):
            if one != other:
                note(f"{question} at {node.lfn}: {one} but {other}")
            assert one == other


async def answers(server: Server, caller: Caller, asked: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """What the caller is told: status and body, without what differs from one request to the next."""
    authenticator, server.house.authenticator = server.house.authenticator, As(caller)  # type: ignore[assignment]
    try:
        told = []
        for operation, body in asked:
            reply = await server.call("POST", f"/{operation}", json=body)
            tree = orjson.loads(reply.body)
            for changing in ("requestId", "requestToken"):
                tree.pop(changing, None)
            told.append((reply.status, tree, sorted(reply.headers.keys())))
        return told
    finally:
        server.house.authenticator = authenticator
