"""One server under attack by all of them."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import trustme

from mdm_async.auditing import refusals
from tests.attack.arena import Arena, built, rule
from tests.attack.principals import Principal, bearer, holder
from tests.attack.yard import Yard
from tests.conftest import running_server
from tests.identity.grid_pki import LIMITED, VO, dn, name, new_grid
from tests.identity.token_issuer import AUDIENCE, TokenIssuer, install_authority
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_privacy import captured_log


@contextmanager
def refusals_written_soon() -> Iterator[None]:
    """Refusals are in the audit after a moment, so that a test can look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusals, "_SECONDS", 0.005)
        yield


@pytest.fixture(scope="session")
async def arena(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Arena]:
    folder = tmp_path_factory.mktemp("attack")
    grid, authority = new_grid(folder), trustme.CA()
    host = grid.host.write(folder / "host.pem")
    install_authority(authority, grid.authorities)
    mapping = folder / "groups.toml"
    mapping.write_text('[groups]\nteam = ["user:mapped"]\n')
    async with TokenIssuer().running(authority) as issuer:
        identity = {
            "ca_directory": grid.authorities,
            "voms_directory": grid.vos,
            "mapping": mapping,
            "issuers": [{"url": issuer.url, "audience": [AUDIENCE]}],
        }
        with captured_log() as log, refusals_written_soon():
            async with running_server(
                folder / "data",
                await postgres.fresh_database(migrated),
                identity=identity,
                blobs={"shared": True},
                copy={"hosts": ["elsewhere.example:443"]},
                server={"tls_cert": host, "tls_key": host},
            ) as server:
                arena = await built(server)
                arena.grid = grid
                arena.log = log
                arena.issuer, arena.mapping = issuer, mapping
                await _principals(arena, issuer)
                yield arena


async def _principals(arena: Arena, issuer: TokenIssuer) -> None:
    server, every = arena.server, ["*", "identified"]
    subject = f"sub:{issuer.url}#"
    # The arena stands until the last of its tests, however slow the machine.
    until = int(time.time()) + 4 * 3600
    in_groups = {"exp": until, "wlcg.groups": ["/vo", "/vo/team"]}
    gone = await server.token("pdrwlxgsi", "/", every, name="gone")
    await server.call("DELETE", "/admin/v1/tokens/gone", token=server.admin_token)
    scope = "storage.modify:/mine storage.read:/mine"
    found = [
        Principal("anonymous", "any:anonymous"),
        bearer("narrow", "user:narrow", await server.token("pdrwlxgsi", "/mine", every, name="narrow"), "/mine"),
        bearer("colleague", "user:colleague", await server.token("", name="colleague")),
        bearer("capability", subject + "grid", issuer.token(sub="grid", scope=scope, exp=until), "/mine"),
        bearer("group", subject + "member", issuer.token(sub="member", **in_groups)),
        bearer("mapped", "user:mapped", await server.token("", "/mine", name="mapped")),
        bearer("project", "user:project", await server.token("rlxgi", "/project", every, name="project"), "/project"),
        holder(arena, "certificate", arena.grid.authority.issue(name("Eve"), 5), dn("Eve")),
        holder(arena, "limited", arena.grid.user.proxy(policy=LIMITED), dn("Ada User")),
        holder(arena, "voms", arena.grid.voms_proxy(fqans=[f"/{VO}/study/Role=reader"]), dn("Ada User")),
        bearer("revoked", None, gone),
        bearer("expired", None, issuer.token(sub="late", exp=int(time.time()) - 3600)),
        bearer("forged", None, issuer.token(sub="grid", scope="storage.read:/")[:-6] + "AAAAAA"),
    ]  # fmt: skip
    arena.principals = {one.kind: one for one in found}
    arena.secrets |= {one.headers["Authorization"].removeprefix("Bearer ") for one in found if one.headers}
    full = "dwlxgsrp"
    await arena.set_acl(
        "/mine",
        rule("user:narrow", full, "*"),
        rule(f"dn:{dn('Eve')}", full, "*"),
        rule(f"dn:{dn('Ada User')}", full, "*"),
        rule(f"fqan:/{VO}/study/Role=reader", full, "*"),
        rule("user:colleague", full, "*"),
        rule(subject + "grid", full, "*"),
        rule(f"group:{issuer.url}#/vo", full, "*"),
        rule("group:local#/team", full, "*"),
        rule("user:project", full, "*"),
    )


@pytest.fixture
async def yard(arena: Arena) -> Yard:
    """For one test; whoever is authenticated may pass through it."""
    yard = Yard(arena, f"/y{os.urandom(6).hex()}")
    await arena.server.srm("mkdir", surl=yard.path)
    await yard.set(yard.path, rule("any:authenticated", "x"))
    return yard
