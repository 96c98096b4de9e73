"""Registered keys: who registers which, and whose key a sealed transfer goes to when its request names none."""

import base64
import os
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import open_header
from mdm_async.errors import BadSeal, Forbidden, MdmError, Unauthenticated
from mdm_async.images.rights import recipients
from mdm_async.images.transfers.download import Ask, prepare
from mdm_async.names import ANONYMOUS, ANYONE, AUTHENTICATED, ROOT, Caller, Right, Scope
from tests.conftest import Reply, Server
from tests.web.made_images import made


@dataclass(frozen=True)
class Pair:
    private: bytes
    public: bytes

    @property
    def text(self) -> str:
        return base64.b64encode(self.public).decode()


def pair() -> Pair:
    private = new_private_key()
    return Pair(private, public_key(private))


async def register(server: Server, key: str, token: str | None = None, **whose: str) -> Reply:
    return await server.call(
        "PUT", "/admin/v1/recipients", token=token or server.admin_token, json={"key": key, **whose}
    )


async def remove(server: Server, token: str | None = None, **whose: str) -> Reply:
    return await server.call(
        "POST", "/admin/v1/recipients/remove", token=token or server.admin_token, json=whose
    )


async def listed(server: Server, token: str | None = None) -> dict[str, Any]:
    answer = await server.call("GET", "/admin/v1/recipients", token=token or server.admin_token)
    assert answer.status == 200
    return {one["principal"]: one for one in answer.tree["recipients"]}


@pytest.fixture
def name() -> str:
    return f"r{os.urandom(4).hex()}"


async def test_everyone_registers_and_removes_their_own_key(server: Server, name: str) -> None:
    token = await server.token("rl", name=name)
    first, second = pair(), pair()
    answer = await register(server, first.text, token)
    assert (answer.status, answer.tree["principal"]) == (200, f"user:{name}")
    await register(server, second.text, token, principal=f"user:{name}")
    found = await listed(server, token)
    assert list(found) == [f"user:{name}"]
    assert found[f"user:{name}"]["key"] == second.text
    assert found[f"user:{name}"]["setBy"] == f"user:{name}"
    assert (await remove(server, token)).status == 200
    assert (await remove(server, token)).status == 404
    assert await listed(server, token) == {}


async def test_only_administrators_register_another_principals_key(server: Server, name: str) -> None:
    token = await server.token("drwlxgsi", name=name)
    for whose in ("fqan:/vo", "user:admin", "group:local#/radiology"):
        assert (await register(server, pair().text, token, principal=whose)).status == 403
        assert (await remove(server, token, principal=whose)).status == 403
    vo = f"fqan:/{name}"
    assert (await register(server, pair().text, principal=vo)).status == 200
    assert vo in await listed(server)
    assert vo not in await listed(server, token)
    assert (await remove(server, principal=vo)).status == 200


async def test_nobody_in_particular_has_no_key(server: Server) -> None:
    for method, path in (("PUT", ""), ("POST", "/remove")):
        answer = await server.call(
            method, f"/admin/v1/recipients{path}", json={"key": pair().text} if not path else {}
        )
        assert answer.status == 401
    assert (await server.call("GET", "/admin/v1/recipients")).status == 401
    for whose in (ANYONE, AUTHENTICATED):
        assert (await register(server, pair().text, principal=whose)).status == 400


async def test_credentials_that_are_not_the_whole_person_register_nothing(server: Server) -> None:
    """Else who stole one would have sealed for himself what is asked for with a full one."""
    person = Caller("dn:/CN=Ada", frozenset({"dn:/CN=Ada", AUTHENTICATED, ANYONE}))
    for less in (replace(person, limited=True), replace(person, principals=frozenset({ANYONE}))):
        with pytest.raises(Forbidden):
            await recipients.put(server.house.database, less, None, pair().public)
    with pytest.raises(Unauthenticated):
        await recipients.put(server.house.database, ANONYMOUS, None, pair().public)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no base64!",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(32)).decode(),  # of low order
        base64.b64encode((1).to_bytes(32, "little")).decode(),
    ],
)
async def test_what_is_no_key_is_refused(server: Server, key: str) -> None:
    assert (await register(server, key)).status == 400


async def test_it_is_audited_with_the_key(server: Server, name: str) -> None:
    token = await server.token("rl", name=name)
    key = pair()
    await register(server, key.text, token)
    await remove(server, token)
    async with server.house.database.acquire() as db:
        acts = await db.fetch(
            "select act, details from audit where caller = $1 and act like '%recipient' order by id",
            f"user:{name}",
        )
    whose = {"principal": f"user:{name}"}
    assert [(act["act"], act["details"]) for act in acts] == [
        ("set recipient", {**whose, "key": key.public.hex()}),
        ("remove recipient", whose),
    ]


# What is sealed, and for whom


@dataclass
class Reader:
    """Somebody with a DN, a VO and a role in it, who asks for a file in a directory where all is sealed."""

    server: Server
    surl: str
    caller: Caller

    async def opens(self, key: Pair, recipient: bytes | None = None) -> bool:
        """Whether what is got by naming this recipient, or none, is opened by that key."""
        server = self.server
        ask = Ask([self.surl], recipient=recipient)
        made_ready = await prepare(
            server.house.desk,
            server.house.judge,
            server.house.warm,
            server.house.rounds,
            server.house.settings.transfers,
            self.caller,
            ask,
        )
        ((_, ticket),) = made_ready.files
        if isinstance(ticket, MdmError):
            raise ticket
        content = await server.get(f"{server.url}/t/{ticket.token}/x.dcm")
        try:
            open_header(content, recipient_private=key.private)
        except BadSeal:
            return False
        return True

    async def register(self, whose: str) -> Pair:
        key = pair()
        assert (await register(self.server, key.text, principal=whose)).status == 200
        return key


@pytest.fixture
async def reader(server: Server, name: str) -> Reader:
    folder = await server.directory()
    await server.put(f"{folder}/a.dcm", made())
    answer = await server.call(
        "PUT",
        "/admin/v1/delivery",
        token=server.admin_token,
        json={"surl": folder, "deidentified": "sealed"},
    )
    assert answer.status == 200
    principals = {f"dn:/CN={name}", f"fqan:/{name}", f"fqan:/{name}/g", AUTHENTICATED, ANYONE}
    scope = Scope(ROOT, frozenset({Right.READ, Right.LIST}))
    return Reader(server, f"{folder}/a.dcm", Caller(f"dn:/CN={name}", frozenset(principals), (scope,)))


async def test_without_any_key_it_is_refused(reader: Reader) -> None:
    with pytest.raises(Forbidden, match="mdm recipient set"):
        await reader.opens(pair())


async def test_the_most_special_key_wins(reader: Reader, name: str) -> None:
    vo = await reader.register(f"fqan:/{name}")
    assert await reader.opens(vo)
    group = await reader.register(f"fqan:/{name}/g")
    assert await reader.opens(group)
    assert not await reader.opens(vo)
    own = await reader.register(f"dn:/CN={name}")
    assert await reader.opens(own)
    assert not await reader.opens(group)


async def test_a_key_in_the_request_wins_over_all(reader: Reader, name: str) -> None:
    own = await reader.register(f"dn:/CN={name}")
    named = pair()
    assert await reader.opens(named, recipient=named.public)
    assert not await reader.opens(own, recipient=named.public)


async def test_others_keys_are_nothing_to_him(reader: Reader, name: str) -> None:
    await reader.register(f"fqan:/{name}/other")
    await reader.register(f"dn:/CN={name}x")
    with pytest.raises(Forbidden):
        await reader.opens(pair())


async def test_where_the_clear_is_allowed_no_key_is_used(reader: Reader, name: str) -> None:
    await reader.register(f"dn:/CN={name}")
    folder = reader.surl.rpartition("/")[0]
    await reader.server.call(
        "PUT",
        "/admin/v1/delivery",
        token=reader.server.admin_token,
        json={"surl": folder, "deidentified": "clear"},
    )
    line = await reader.server.prepare(reader.surl)
    assert "senderPublicKey" not in line
