"""Digests that a sender tells of a file are compared before it gets its name; a wrong one leaves nothing."""

import base64
import hashlib
import io
import zlib
from collections.abc import AsyncIterator

import pytest

from mdm_async.crypt4gh.stream import Sealer
from tests.conftest import Reply, Server
from tests.faults.conditions import nothing_is_stored
from tests.web.made_images import made
from tests.web.second_face import second_face

DATA = made(pixels=700_000)


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def fields(data: bytes) -> list[tuple[str, str]]:
    """Every way in which somebody may tell a digest of these bytes."""
    md5, sha1 = hashlib.md5(data), hashlib.sha1(data)
    sha256, sha512 = hashlib.sha256(data), hashlib.sha512(data)
    adler = zlib.adler32(data)
    return [
        ("Content-MD5", b64(md5.digest())),
        ("Content-MD5", md5.hexdigest()),
        ("Digest", f"md5={b64(md5.digest())}"),
        ("Digest", f"MD5={b64(md5.digest())},ADLER32={adler:08x}"),
        ("Digest", f"adler32={adler:x}"),
        ("Digest", f"SHA={b64(sha1.digest())}, unixsum=30637"),
        ("Digest", f"SHA-256={b64(sha256.digest())}"),
        ("Repr-Digest", f"sha-256=:{b64(sha256.digest())}:, new=:AAAA:"),
        ("Repr-Digest", f"adler=:{b64(adler.to_bytes(4, 'big'))}:"),
        ("Content-Digest", f"sha-512=:{b64(sha512.digest())}:"),
        ("OC-Checksum", f"ADLER32:{adler:08X}"),
        ("OC-Checksum", f"SHA1:{sha1.hexdigest()} MD5:{md5.hexdigest()}"),
        ("OC-Checksum", f"SHA256:{sha256.hexdigest()}"),
    ]


RIGHT, WRONG = fields(DATA), fields(DATA[:-1])


class Turl:
    """PUT to a transfer URL, with all that goes before and after."""

    def __init__(self, server: Server) -> None:
        self.server, self.names = server, 0

    async def put(self, name: str, data: bytes, **headers: str) -> Reply:
        surl = f"/{name}"
        tree = await self.server.srm("prepareToPut", files=[{"surl": surl}])
        url = tree["files"][0]["transferURL"]
        answer = await self.server.call("PUT", url, data=data, headers=headers)
        await self.server.srm(
            "putDone",
            requestToken=tree["requestToken"],
            surls=[surl],
            expect=200 if answer.status == 201 else 410,
        )
        return answer


class Face(Turl):
    """PUT in one step."""

    def __init__(self, server: Server, url: str) -> None:
        super().__init__(server)
        self.url = url

    async def put(self, name: str, data: bytes, **headers: str) -> Reply:
        return await self.server.call(
            "PUT", f"{self.url}/{name}", token=self.server.admin_token, data=data, headers=headers
        )


@pytest.fixture(params=["transfer URL", "one step"])
async def way(request: pytest.FixtureRequest, own_server: Server) -> AsyncIterator[Turl]:
    if request.param == "transfer URL":
        yield Turl(own_server)
        return
    async with second_face(own_server.house) as url:
        yield Face(own_server, url)


async def test_wrong_ones_leave_nothing_and_the_name_is_free_at_once(way: Turl) -> None:
    for name, value in WRONG:
        answer = await way.put("a.dcm", DATA, **{name: value})
        assert (answer.status, answer.tree["type"]) == (422, "urn:mdm:error:wrong-content"), (name, value)
        assert value not in answer.body.decode()
        assert (await way.server.srm("ls", surls=["/a.dcm"], expect=404))["returnStatus"]
        assert await nothing_is_stored(way.server), name
    assert (await way.put("a.dcm", DATA, **dict(RIGHT[:1]))).status == 201


async def test_right_ones_are_taken(way: Turl) -> None:
    for place, (name, value) in enumerate(RIGHT):
        answer = await way.put(f"{place}.dcm", DATA, **{name: value})
        assert answer.status == 201, (name, value, answer.body)


async def test_one_wrong_among_right_ones_counts(way: Turl) -> None:
    for name, value in (
        ("Digest", f"{RIGHT[2][1]},{WRONG[6][1]}"),
        ("OC-Checksum", f"{WRONG[10][1]} {RIGHT[11][1]}"),
    ):
        assert (await way.put("a.dcm", DATA, **{name: value})).status == 422
    both = {"Content-MD5": RIGHT[0][1], "Digest": WRONG[2][1]}
    assert (await way.put("a.dcm", DATA, **both)).status == 422
    assert await nothing_is_stored(way.server)


@pytest.mark.parametrize(
    "field",
    [
        ("Content-MD5", "x"),
        ("Digest", "md5="),
        ("Digest", "adler32=1234567890"),
        ("Repr-Digest", "sha-256=:Zm9v:"),
        ("OC-Checksum", "MD5:zz"),
    ],
)
async def test_what_is_no_digest_is_refused_before_a_byte_comes(
    own_server: Server, field: tuple[str, str]
) -> None:
    tree = await own_server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
    url = tree["files"][0]["transferURL"]
    answer = await own_server.call(
        "PUT", url, headers=dict([field]) | {"Content-Length": "700000", "Expect": "100-continue"}
    )
    assert (answer.status, answer.tree["type"]) == (400, "urn:mdm:error:bad-request")


async def test_those_of_a_sealed_upload_are_of_the_sealed_bytes(own_server: Server) -> None:
    tree = await own_server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
    line = tree["files"][0]
    sealer = Sealer(base64.b64decode(line["uploadRecipient"]))
    sent = b"".join([sealer.header(), *sealer.feed(DATA), *sealer.close()])
    for data, status in ((DATA, 422), (sent, 201)):
        headers = {"Content-MD5": b64(hashlib.md5(data).digest())}
        async with own_server.http.put(line["transferURL"], data=io.BytesIO(sent), headers=headers) as answer:
            assert answer.status == status


async def test_a_wrong_one_at_put_done_leaves_nothing(own_server: Server) -> None:
    sha256 = hashlib.sha256(DATA).hexdigest()
    for wrong in ({"sha256": "0" * 64}, {"size": len(DATA) - 1}, {"size": 1, "sha256": sha256}):
        tree = await own_server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
        assert (await own_server.call("PUT", tree["files"][0]["transferURL"], data=DATA)).status == 201
        told = {"requestToken": tree["requestToken"], "files": [{"surl": "/a.dcm", **wrong}]}
        answer = await own_server.srm("putDone", expect=422, **told)
        assert sha256 not in str(answer)
        await own_server.srm("putDone", expect=410, requestToken=tree["requestToken"], surls=["/a.dcm"])
        await own_server.srm("ls", surls=["/a.dcm"], expect=404)
        await own_server.house.sweeper.sweep()
        assert await nothing_is_stored(own_server)
    tree = await own_server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
    await own_server.call("PUT", tree["files"][0]["transferURL"], data=DATA)
    right = [{"surl": "/a.dcm", "size": len(DATA), "sha256": sha256.upper()}]
    await own_server.srm("putDone", requestToken=tree["requestToken"], files=right)
