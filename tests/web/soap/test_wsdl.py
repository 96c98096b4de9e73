"""The description that is served, as a stranger's library reads it, against the tables; and that library's calls."""

import asyncio
import csv
import os
from collections.abc import Callable
from functools import partial
from importlib import resources
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import requests
import zeep

from tests.conftest import Server

_TABLES = resources.files("mdm_async.web.srm.soap") / "tables"


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((_TABLES / f"{table}.csv").read_text().splitlines()))


def client_of(server: Server) -> zeep.Client:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {server.admin_token}"
    return zeep.Client(f"{server.url}/srm/managerv2?wsdl", transport=zeep.Transport(session=session))


@pytest.fixture(scope="module")
async def client(server: Server) -> zeep.Client:
    return await asyncio.to_thread(client_of, server)


@pytest.fixture
def call(client: zeep.Client) -> Callable[..., Any]:
    async def called(operation: str, **fields: Any) -> Any:
        return await asyncio.to_thread(partial(getattr(client.service, operation), fields))

    return called


async def test_the_types_are_those_of_the_tables(client: zeep.Client) -> None:
    found = set()
    for kind in {row["type"] for row in rows("types")}:
        described = client.get_type(f"{{http://srm.lbl.gov/StorageResourceManager}}{kind}")
        for order, (name, element) in enumerate(described.elements, 1):
            least, most = str(element.min_occurs), str(element.max_occurs)
            nillable = "true" if element.nillable else "false"
            found.add((kind, str(order), name, element.type.name, least, most, nillable))
    assert found == {tuple(row.values()) for row in rows("types")}
    assert len(found) == 396


async def test_the_enumerations_are_those_of_the_tables(server: Server) -> None:
    answer = await server.call("GET", "/srm/managerv2?wsdl", token=server.admin_token)
    xsd = "{http://www.w3.org/2001/XMLSchema}"
    found = [
        (kind.get("name"), value.get("value"))
        for kind in fromstring(answer.body).iter(f"{xsd}simpleType")
        for value in kind.iter(f"{xsd}enumeration")
    ]
    assert found == [tuple(row.values()) for row in rows("enums")]


async def test_the_operations_are_those_of_the_tables(client: zeep.Client) -> None:
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    found = set()
    for name, operation in port.binding._operations.items():
        ((asked, request),) = operation.abstract.input_message.parts.items()
        ((told, response),) = operation.abstract.output_message.parts.items()
        found.add((name, asked, request.type.name, told, response.type.name))
    assert found == {tuple(row.values()) for row in rows("operations")}
    assert len(found) == 39


async def test_zeep_pings_and_lists(server: Server, call: Callable[..., Any]) -> None:
    ping = await call("srmPing")
    assert ping["versionInfo"] == "v2.2"
    assert {one["key"] for one in ping["otherInfo"]["extraInfoArray"]} >= {"backend_type"}
    directory = f"/z{os.urandom(4).hex()}"
    await server.srm("mkdir", surl=f"{directory}/Käse <&> 日本", parents=True)
    listed = await call("srmLs", arrayOfSURLs={"urlArray": [directory]}, storageSystemInfo=None)
    assert listed["returnStatus"]["statusCode"] == "SRM_SUCCESS"
    (detail,) = listed["details"]["pathDetailArray"]
    assert [one["path"] for one in detail["arrayOfSubPaths"]["pathDetailArray"]] == [
        f"{directory}/Käse <&> 日本"
    ]


def least(kind: str) -> dict[str, Any]:
    """What a structure must have, about something that is not there."""
    simple = {
        "string": "none",
        "anyURI": "srm://localhost/none",
        "int": 1,
        "unsignedLong": 1,
        "boolean": False,
    }
    values = {row["type"]: row["value"] for row in rows("enums")} | simple
    needed = [row for row in rows("types") if row["type"] == kind and row["min_occurs"] == "1"]
    return {
        row["field"]: values[row["field_type"]] if row["field_type"] in values else least(row["field_type"])
        for row in needed
        if row["nillable"] == "false" or row["max_occurs"] == "unbounded"
    }


@pytest.mark.parametrize("row", rows("operations"), ids=lambda row: row["operation"])
async def test_each_operation_answers_in_its_own_shape(row: dict[str, str], call: Callable[..., Any]) -> None:
    told = await call(row["operation"], **least(row["request_type"]))
    # Where a status is all that a response has, zeep gives that.
    if "versionInfo" not in told:
        status = told["statusCode"] if "statusCode" in told else told["returnStatus"]["statusCode"]
        assert status.startswith("SRM_"), told


async def test_the_description_is_asked_for_by_its_name(server: Server) -> None:
    assert (await server.call("GET", "/srm/managerv2")).status == 404
    answer = await server.call("GET", "/srm/managerv2?WSDL")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml")
    assert f'location="{server.url}/srm/managerv2"'.encode() in answer.body
