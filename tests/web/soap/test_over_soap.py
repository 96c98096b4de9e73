"""SOAP over HTTP: shapes, faults, names, and how little a hostile request costs."""

from typing import Any

import pytest

from mdm_async.web.srm.soap import over_soap, spoken, writing
from mdm_async.web.srm.soap.schema import OPERATIONS
from mdm_async.web.srm.soap.spoken import Spoken
from tests.conftest import Reply, Server
from tests.web.raw import connected
from tests.web.soap.envelopes import HEADERS, PATH, call, envelope, fault, ls, response

_MIB = 1 << 20
GSOAP = "gfal2-util/1.8.0 gfal2/2.21.3 srm-ifce/1.24.6 gSOAP/2.8"


async def post(
    server: Server, body: bytes, agent: str = GSOAP, token: str | None = "", **headers: str
) -> Reply:
    shown = {**HEADERS, "User-Agent": agent, **headers}
    return await server.call(
        "POST", PATH, token=server.admin_token if token == "" else token, data=body, headers=shown
    )


def of_one(told: Any) -> Any:
    return told["details"]["pathDetailArray"]


async def test_every_answer_closes_its_connection(server: Server) -> None:
    for body, status in ((call("srmPing"), 200), (ls("/none"), 200), (b"<a/>", 400), (b"", 400)):
        answer = await post(server, body)
        assert (answer.status, answer.headers["Connection"]) == (status, "close")
        assert answer.headers["Content-Type"] == "text/xml"
        assert answer.headers["X-Request-Id"]


async def test_ping_and_ls_have_the_shape_that_the_clients_demand(server: Server) -> None:
    ping = await post(server, call("srmPing"))
    assert b"<srm:srmPingResponse><srmPingResponse><versionInfo>v2.2</versionInfo>" in ping.body
    directory = await server.directory()
    told = response((await post(server, ls(directory))).body)
    assert told["returnStatus"] == {"statusCode": "SRM_SUCCESS"}
    assert of_one(told)["type"] == "DIRECTORY"
    assert of_one(told)["lastModificationTime"].endswith("Z")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no xml", 400),
        (b'{"surls": ["/"]}', 400),
        (b"<a>", 400),
        (envelope("<srm:srmLs>")[:-9], 400),
        (envelope("<srm:srmNone/>"), 501),
        (envelope(""), 400),
        (b'<!DOCTYPE a [<!ENTITY e "x">]>' + ls("/"), 400),
        (b"<a>" * 1000 + b"</a>" * 1000, 400),
        (b"<a>" + b"<b/>" * 600_000 + b"</a>", 413),
    ],
    ids=[
        "empty",
        "text",
        "json",
        "cut",
        "cut envelope",
        "unknown",
        "no operation",
        "document type",
        "deep",
        "many",
    ],
)
async def test_what_is_no_operation_is_a_fault(server: Server, body: bytes, status: int) -> None:
    answer = await post(server, body)
    assert answer.status == status
    told = fault(answer.body)
    assert told["faultcode"] == ("SOAP-ENV:Server" if status > 500 else "SOAP-ENV:Client")
    assert told["faultstring"]


async def test_what_an_operation_cannot_take_is_told_in_its_own_response(server: Server) -> None:
    for body, code in (
        (call("srmLs"), "SRM_INVALID_REQUEST"),
        (ls("/a", numOfLevels="x"), "SRM_INVALID_REQUEST"),
        (ls(), "SRM_INVALID_REQUEST"),
        (ls("/a", count=-1), "SRM_INVALID_REQUEST"),
        (call("srmSuspendRequest", requestToken="a"), None),
    ):
        answer = await post(server, body)
        assert answer.status == 200, answer.body
        told = response(answer.body)["returnStatus"]
        assert told["statusCode"] == code or code is None
        assert told["explanation"]


async def test_who_may_not_ask_is_told_so_by_a_fault_before_the_body_is_read(server: Server) -> None:
    answer = await post(server, ls("/"), token="wrong")
    assert answer.status == 401
    assert "token" in fault(answer.body)["faultstring"]
    assert (await post(server, ls("/"), **{"Content-Type": "application/json"})).status == 415


@pytest.mark.parametrize(
    "name", ["with space", "a+b", "100% sure", "Käse", "日本", "<&>\"'", "a%2Bb", "naïve ́"]
)
async def test_names_come_and_go_as_their_users_typed_them(server: Server, name: str) -> None:
    """gSOAP's clients send each byte of UTF-8 as a character of its own; others send the characters."""
    directory = await server.directory()
    await server.srm("mkdir", surl=f"{directory}/{name}")
    listed = (await server.srm("ls", surls=[directory]))["files"][0]["subPaths"][0]["path"]
    for agent in (GSOAP, "Python/zeep"):

        def written(text: str, agent: str = agent) -> str:
            return text.encode().decode("latin-1") if agent == GSOAP else text

        told = response((await post(server, ls(written(f"{directory}/{name}")), agent)).body)
        assert told["returnStatus"]["statusCode"] == "SRM_SUCCESS"
        told = response((await post(server, ls(written(directory)), agent)).body)
        assert of_one(told)["arrayOfSubPaths"]["pathDetailArray"]["path"] == written(listed)


async def test_nothing_is_percent_decoded(server: Server) -> None:
    directory = await server.directory()
    await server.srm("mkdir", surl=f"{directory}/a b")
    for name, code in (("a b", "SRM_SUCCESS"), ("a%20b", "SRM_INVALID_PATH"), ("a+b", "SRM_INVALID_PATH")):
        told = response((await post(server, ls(f"srm://localhost{directory}/{name}", numOfLevels=0))).body)
        assert of_one(told)["status"]["statusCode"] == code


async def test_a_name_in_latin_1_is_taken_as_it_was_written(server: Server) -> None:
    directory = await server.directory()
    await server.srm("mkdir", surl=f"{directory}/Käse")
    told = response((await post(server, ls(f"{directory}/Käse"))).body)
    assert told["returnStatus"]["statusCode"] == "SRM_SUCCESS"


async def test_a_body_of_100_mb_is_refused_before_a_byte_of_it_came(server: Server) -> None:
    for token, size in ((server.admin_token, 100 * _MIB), (None, 64 * 1024 + 1)):
        async with connected(server) as line:
            shown = f"\nAuthorization: Bearer {token}" if token else ""
            await line.send(f"POST {PATH} HTTP/1.1\nHost: localhost\nContent-Length: {size}{shown}")
            status, headers, body = await line.answer()
            assert (status, headers["connection"]) == (413, "close")
            assert fault(body)["faultcode"] == "SOAP-ENV:Client"


async def test_a_body_of_unknown_length_is_read_up_to_16_mib(server: Server) -> None:
    async with connected(server) as line:
        head = f"POST {PATH} HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked"
        await line.send(f"{head}\nAuthorization: Bearer {server.admin_token}")
        piece = b"100000\r\n" + b" " * _MIB + b"\r\n"
        for _ in range(17):
            line.writer.write(piece)
        assert (await line.head())[0] == 413


async def test_100_000_surls_are_more_than_one_request_may_name(server: Server) -> None:
    names = [f"/none/{n:06}" for n in range(100_000)]
    answer = await post(server, ls(*names))
    told = response(answer.body)["returnStatus"]
    assert told["statusCode"] == "SRM_INVALID_REQUEST"
    assert "10000 files" in told["explanation"]


async def test_many_files_are_answered_one_by_one_and_written_in_a_thread(server: Server) -> None:
    names = [f"/none/{n:06}" for n in range(1000)]
    told = response((await post(server, ls(*names))).body)
    assert [one["path"] for one in of_one(told)] == names
    assert {one["status"]["statusCode"] for one in of_one(told)} == {"SRM_INVALID_PATH"}


async def test_a_failure_that_nobody_expected_is_a_fault_that_tells_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_result: object) -> dict[str, Any]:
        raise ValueError("SECRET")

    monkeypatch.setitem(spoken.SPOKEN, "srmPing", Spoken("ping", lambda asked: {}, broken))
    answer = await post(server, call("srmPing"))
    assert answer.status == 500
    assert fault(answer.body)["faultcode"] == "SOAP-ENV:Server"
    assert b"SECRET" not in answer.body
    assert over_soap.SPOKEN is spoken.SPOKEN


def test_what_xml_cannot_write_is_no_broken_answer() -> None:
    """As a name in a certificate may hold it."""
    text = "a\0\x1b\ufffe\ud800\r\n<&>b"
    written = writing.answer(OPERATIONS["srmPing"], {"versionInfo": text}, str)
    assert response(written) == {"versionInfo": "a????\r\n<&>b"}


def test_a_field_that_the_tables_do_not_have_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="versionInf"):
        writing.answer(OPERATIONS["srmPing"], {"versionInf": "v2.2"}, str)
