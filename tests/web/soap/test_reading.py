"""Envelopes as fields: what clients of several makes write, and what is refused of it."""

from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from mdm_async.errors import BadRequest, NotSupported, TooLarge
from mdm_async.web.srm.soap.reading import Asked
from tests.web.soap.envelopes import call, envelope, ls


def fields(body: bytes, values: int = 1000) -> dict[str, Any]:
    return Asked.of(fromstring(body)).fields(str, values)


def within(operation: str, inside: str) -> bytes:
    return envelope(f"<srm:{operation}><{operation}Request>{inside}</{operation}Request></srm:{operation}>")


def test_fields_are_read_by_the_tables() -> None:
    assert fields(ls("/a", "/b", storageSystemInfo=None, fullDetailedList=True, numOfLevels=0)) == {
        "arrayOfSURLs": ["/a", "/b"],
        "fullDetailedList": True,
        "numOfLevels": 0,
    }
    put = call(
        "srmPrepareToPut",
        transferParameters={"arrayOfTransferProtocols": {"stringArray": ["https", "gsiftp"]}},
        arrayOfFileRequests={
            "requestArray": [
                {"targetSURL": "/a b%20+é", "expectedFileSize": (1 << 64) - 1},
                {"targetSURL": "/b"},
            ]
        },
        overwriteOption="ALWAYS",
        storageSystemInfo={"extraInfoArray": [{"key": "k", "value": "v"}, {"key": "k"}]},
    )
    assert fields(put) == {
        "transferParameters": {"arrayOfTransferProtocols": ["https", "gsiftp"]},
        "arrayOfFileRequests": [
            {"targetSURL": "/a b%20+é", "expectedFileSize": (1 << 64) - 1},
            {"targetSURL": "/b"},
        ],
        "overwriteOption": "ALWAYS",
        "storageSystemInfo": [{"key": "k", "value": "v"}, {"key": "k"}],
    }


def test_the_order_the_prefixes_and_what_nobody_knows_are_of_no_account() -> None:
    inside = """<srm:unknown><deep/></srm:unknown><srm:numOfLevels xsi:type="x:int"> 1 </srm:numOfLevels>
        <arrayOfSURLs arrayType="x:string[2]"><item>/a</item><urlArray xsi:nil="true"/><item></item></arrayOfSURLs>"""
    assert fields(within("srmLs", inside)) == {"numOfLevels": 1, "arrayOfSURLs": ["/a", ""]}


def test_references_are_followed() -> None:
    body = envelope(
        '<srm:srmLs><srmLsRequest><arrayOfSURLs href="#s"/></srmLsRequest></srm:srmLs>'
        '<multiRef id="s"><urlArray href="#u"/><urlArray href="#u"/></multiRef><multiRef id="u">/a</multiRef>'
    )
    assert fields(body) == {"arrayOfSURLs": ["/a", "/a"]}


@pytest.mark.parametrize(
    "body",
    [
        b"<a/>",
        b'<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body/></Envelope>',
        envelope(""),
        envelope("<srm:srmLs/>"),
        envelope("<srm:srmLs><srmPingRequest/></srm:srmLs>"),
    ],
    ids=["no envelope", "SOAP 1.2", "empty", "no part", "another part"],
)
def test_what_asks_for_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        Asked.of(fromstring(body))


def test_an_operation_that_srm_does_not_have_is_not_supported() -> None:
    for name in ("srmNone", "Envelope", "__class__"):
        with pytest.raises(NotSupported):
            Asked.of(fromstring(envelope(f"<srm:{name}/>")))


@pytest.mark.parametrize(
    ("operation", "inside", "named"),
    [
        ("srmLs", "", "arrayOfSURLs"),
        ("srmLs", '<arrayOfSURLs xsi:nil="true"/>', "arrayOfSURLs"),
        ("srmLs", "<arrayOfSURLs/><arrayOfSURLs/>", "arrayOfSURLs"),
        ("srmLs", '<arrayOfSURLs href="#none"/>', "href"),
        ("srmLs", '<arrayOfSURLs id="a" href="#a"/>', "href"),
        ("srmLs", '<arrayOfSURLs href="#a"/><x id="a" href="#b"/><y id="b" href="#a"/>', "href"),
        ("srmRmdir", "<SURL>/a</SURL><recursive>yes</recursive>", "recursive"),
        ("srmSetPermission", "<SURL>/a</SURL><permissionType>OTHER</permissionType>", "permissionType"),
        (
            "srmPrepareToGet",
            "<arrayOfFileRequests><a><sourceSURL xsi:nil='1'/></a></arrayOfFileRequests>",
            "sourceSURL",
        ),
        *(
            ("srmLs", f"<arrayOfSURLs/><count>{number}</count>", "count")
            for number in (
                "",
                "x",
                "1.0",
                "1e3",
                "--1",
                "٣",
                "2147483648",
                "9" * 5000,
                "0x10",
                "1_0",
                "1 0",
                "+",
            )
        ),
    ],
)
def test_a_field_that_cannot_be_read_is_named_and_its_value_not(
    operation: str, inside: str, named: str
) -> None:
    with pytest.raises(BadRequest) as why:
        fields(within(operation, inside))
    assert named in str(why.value)
    assert "99999" not in str(why.value)


def test_references_make_no_large_request_of_a_small_one() -> None:
    many = "<y href='#b'/>" * 600
    body = envelope(
        "<srm:srmPrepareToPut><srmPrepareToPutRequest><arrayOfFileRequests href='#a'/></srmPrepareToPutRequest>"
        f"</srm:srmPrepareToPut><x id='a'>{many}</x>"
        "<x id='b'><targetSURL href='#c'/><expectedFileSize>1</expectedFileSize></x><x id='c'>/a</x>"
    )
    assert len(fields(body, 2000)["arrayOfFileRequests"]) == 600
    with pytest.raises(TooLarge):
        fields(body, 1000)


def test_a_long_text_that_many_refer_to_counts_each_time() -> None:
    many = "<a href='#t'/>" * 100
    body = envelope(
        f"<srm:srmLs><srmLsRequest><arrayOfSURLs>{many}</arrayOfSURLs></srmLsRequest></srm:srmLs>"
        f"<x id='t'>{'x' * 100_000}</x>"
    )
    assert len(fields(body, 40_000)["arrayOfSURLs"]) == 100
    with pytest.raises(TooLarge):
        fields(body, 20_000)


def test_what_is_passed_over_counts_each_time_that_it_is_referred_to() -> None:
    many = "<a href='#s'/>" * 100
    body = envelope(
        "<srm:srmPrepareToGet><srmPrepareToGetRequest><arrayOfFileRequests>"
        f"{many}</arrayOfFileRequests></srmPrepareToGetRequest></srm:srmPrepareToGet>"
        f"<x id='s'><sourceSURL>/a</sourceSURL>{'<y/>' * 300}</x>"
    )
    assert len(fields(body, 40_000)["arrayOfFileRequests"]) == 100
    with pytest.raises(TooLarge):
        fields(body, 20_000)
