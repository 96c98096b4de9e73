"""A small server that keeps the wire contract and breaks it on demand: faults are fixtures."""

import asyncio
import base64
import hashlib
import itertools
import os
import re
import secrets
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import DataKey, EditList, seal_header
from mdm_async.crypt4gh.layout import SealedLayout, SealedPart, packet_order
from mdm_async.crypt4gh.segment import SegmentKey
from mdm_async.crypt4gh.stream import Unsealer

TOKEN = "a-token-for-tests"


def adler(content: bytes) -> str:
    return f"{zlib.adler32(content):08x}"


@dataclass
class Stream:
    """What a transfer URL serves."""

    content: bytes
    etag: str
    alive: bool = True


@dataclass
class Faults:
    """What shall go wrong; each is used up where it counts down."""

    cuts: list[int] = field(default_factory=list)
    """The next answers to GETs end after so many bytes."""
    refusals: list[int] = field(default_factory=list)
    """The next SRM calls are answered with these HTTP statuses, as problems."""
    retry_after: int = 0
    """What they say with it."""
    kill_after_next_get: bool = False
    turned_away: int = 0
    """So many GETs and PUTs of transfer URLs are answered 429."""
    put_status: int | None = None
    lie_about_adler: bool = False
    transfer_base: str | None = None
    redirect: str | None = None
    redirects: list[str] = field(default_factory=list)
    """The next GETs of transfer URLs are sent there."""
    stall_at: int | None = None
    """GETs send so many bytes, and then nothing more until the client goes away."""
    corrupt_at: int | None = None
    """Flip a bit of the sealed or clear stream at this place."""
    forget_etag: bool = False
    lie_about_range: str | None = None
    """GETs of a range are answered with the whole and 200 ("ignored"), with less of it ("short"), with what lies beside
    it and says so ("shifted") or says nothing ("unsaid")."""
    excess: bytes = b""
    """GETs end with this besides, and do not tell their length."""
    forget_adler: bool = False
    """Uploads are not answered with a checksum."""
    identified_clear_is_forbidden: bool = True


class FakeServer:
    """Files by path; `calls` counts SRM operations, `gets` are the Range headers seen."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.directories = {"/"}
        self.streams: dict[str, Stream] = {}
        self.uploads: dict[str, dict] = {}
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, dict]] = []
        self.gets: list[str | None] = []
        self.transfer_headers: list[dict[str, str]] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/srm/v2/{operation}", self._srm)
        app.router.add_get("/t/{token}/{name}", self._get)
        app.router.add_put("/t/{token}/{name}", self._put)
        return app

    async def _srm(self, request: web.Request) -> web.Response:
        operation = request.match_info["operation"]
        self.calls[operation] += 1
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.faults.redirect:
            raise web.HTTPTemporaryRedirect(self.faults.redirect)
        if self.faults.refusals:
            status = self.faults.refusals.pop(0)
            return web.json_response(
                {"title": "later", "detail": "come back", "status": status},
                status=status,
                content_type="application/problem+json",
                headers={"Retry-After": str(self.faults.retry_after)},
            )
        body = await request.json()
        self.requests.append((operation, body))
        return web.json_response(await getattr(self, _method(operation))(body))

    @staticmethod
    def answer(files: list[dict], **more: object) -> dict:
        return {"returnStatus": {"statusCode": "SRM_SUCCESS"}, "files": files, **more}

    @staticmethod
    def failure(surl: str, code: str, explanation: str) -> dict:
        return {"surl": surl, "status": {"statusCode": code, "explanation": explanation}}

    async def _prepare_to_get(self, body: dict) -> dict:
        recipient = body.get("recipient")
        view = body.get("view") or "basic"
        files = []
        for file in body["files"]:
            surl = file["surl"]
            if surl not in self.files:
                files.append(self.failure(surl, "SRM_INVALID_PATH", "no such file"))
            elif view == "identified" and not recipient and self.faults.identified_clear_is_forbidden:
                files.append(self.failure(surl, "SRM_AUTHORIZATION_FAILURE", "only sealed"))
            else:
                files.append(self._pinned(surl, view, base64.b64decode(recipient) if recipient else None))
        return self.answer(files, requestToken=secrets.token_hex(4))

    def _pinned(self, surl: str, view: str, recipient: bytes | None) -> dict:
        plain = self.files[surl]
        more: dict = {}
        content = plain
        if recipient is not None:
            content, sender, parts = seal(plain, recipient)
            more = {
                "senderPublicKey": base64.b64encode(sender).decode(),
                "plainSize": len(plain),
                "plainCheckSumType": "ADLER32",
                "plainCheckSumValue": adler(plain),
                "sealedParts": [
                    {"plainSize": part.plain_size, "noncePrefix": part.prefix.hex()} for part in parts
                ],
            }
        token = secrets.token_hex(8)
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        announced = adler(content)
        if self.faults.corrupt_at is not None:
            place = self.faults.corrupt_at
            content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        self.streams[token] = Stream(content, etag)
        return {
            "surl": surl,
            "status": {"statusCode": "SRM_FILE_PINNED"},
            "transferURL": f"{self.faults.transfer_base or self.url}/t/{token}/x.dcm",
            "fileSize": len(content),
            "checkSumType": "ADLER32",
            "checkSumValue": announced,
            "remainingPinTime": 600,
            "view": view,
            **more,
        }

    async def _prepare_to_put(self, body: dict) -> dict:
        token, private = secrets.token_hex(8), new_private_key()
        surl = body["files"][0]["surl"]
        self.uploads[token] = {"surl": surl, "private": private}
        file = {
            "surl": surl,
            "status": {"statusCode": "SRM_SPACE_AVAILABLE"},
            "transferURL": f"{self.faults.transfer_base or self.url}/t/{token}/x.dcm",
            "uploadRecipient": base64.b64encode(public_key(private)).decode(),
        }
        return self.answer([file], requestToken=token)

    async def _put_done(self, body: dict) -> dict:
        upload = self.uploads.pop(body["requestToken"])
        if upload["sealed"]:
            (told,) = body["files"]
            assert told["size"] == len(upload["plain"])
            assert told["sha256"] == hashlib.sha256(upload["plain"]).hexdigest()
        self.files[upload["surl"]] = upload["plain"]
        return self.answer([{"surl": upload["surl"], "status": {"statusCode": "SRM_SUCCESS"}, "guid": "g"}])

    async def _abort_request(self, body: dict) -> dict:
        self.uploads.pop(body["requestToken"], None)
        return self.answer([])

    async def _release_files(self, body: dict) -> dict:
        return self.answer([])

    async def _mkdir(self, body: dict) -> dict:
        path = body["surl"]
        parent = path.rpartition("/")[0] or "/"
        if body["parents"]:
            names = path.split("/")
            self.directories |= {"/".join(names[:end]) for end in range(2, len(names) + 1)}
            return self.answer([{"surl": path, "status": {"statusCode": "SRM_SUCCESS"}}])
        if path in self.directories:
            return self.answer([self.failure(path, "SRM_DUPLICATION_ERROR", "there")])
        if parent not in self.directories:
            return self.answer([self.failure(path, "SRM_INVALID_PATH", "no parent")])
        self.directories.add(path)
        return self.answer([{"surl": path, "status": {"statusCode": "SRM_SUCCESS"}}])

    async def _rm(self, body: dict) -> dict:
        answers = []
        for path in body["surls"]:
            there = self.files.pop(path, None) is not None
            done = {"surl": path, "status": {"statusCode": "SRM_SUCCESS"}}
            answers.append(done if there else self.failure(path, "SRM_INVALID_PATH", "no such file"))
        return self.answer(answers)

    async def _ls(self, body: dict) -> dict:
        if len(body["surls"]) > 1:
            each = [await self._ls(body | {"surls": [path]}) for path in body["surls"]]
            return self.answer([file for answer in each for file in answer["files"]])
        (path,) = body["surls"]
        if path in self.files:
            return self.answer([{**self._detail(path), "surl": path}])
        if path not in self.directories:
            return self.answer([self.failure(path, "SRM_INVALID_PATH", "nothing there")])
        below = sorted(
            name
            for name in {*self.files, *self.directories}
            if name != "/" and (name.rpartition("/")[0] or "/") == path
        )
        behind = (
            [name for name in below if name > body.get("cursor", "")] if body.get("numOfLevels", 1) else []
        )
        page = behind[: body.get("count", 1000)]
        more = {"nextCursor": page[-1]} if len(page) < len(behind) else {}
        listed = [self._detail(name) for name in page]
        return self.answer([{**self._detail(path), "surl": path, "subPaths": listed, **more}])

    def _detail(self, path: str) -> dict:
        status = {"statusCode": "SRM_SUCCESS"}
        if path not in self.files:
            return {"path": path, "status": status, "type": "DIRECTORY"}
        content = self.files[path]
        return {
            "path": path,
            "status": status,
            "type": "FILE",
            "size": len(content),
            "checkSumType": "ADLER32",
            "checkSumValue": adler(content),
            "lastModificationTime": "2026-01-02T03:04:05Z",
        }

    async def _get(self, request: web.Request) -> web.StreamResponse:
        assert "Authorization" not in request.headers
        self.gets.append(request.headers.get("Range"))
        self.transfer_headers.append(dict(request.headers))
        if self.faults.turned_away:
            return self._later()
        if self.faults.redirects:
            raise web.HTTPTemporaryRedirect(self.faults.redirects.pop(0))
        stream = self.streams.get(request.match_info["token"])
        if stream is None or not stream.alive:
            return web.json_response(
                {"title": "the transfer URL is no longer valid", "status": 410},
                status=410,
                content_type="application/problem+json",
            )
        if self.faults.kill_after_next_get:
            stream.alive = self.faults.kill_after_next_get = False
        size = len(stream.content)
        wanted = request.http_range
        if_range = request.headers.get("If-Range")
        ranged = "Range" in request.headers and if_range in (None, stream.etag)
        start, stop = (wanted.start or 0, min(wanted.stop or size, size)) if ranged else (0, size)
        headers = {} if self.faults.excess else {"Content-Length": str(stop - start)}
        if not self.faults.forget_etag:
            headers["ETag"] = stream.etag
        lie = self.faults.lie_about_range if ranged else None
        if lie == "ignored":
            ranged, start, stop = False, 0, size
        elif lie == "short":
            stop -= 1
        elif lie == "shifted":
            start, stop = start + 1, stop + 1
        if lie is not None:
            headers["Content-Length"] = str(stop - start)
        if ranged and lie != "unsaid":
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=206 if ranged else 200, headers=headers)
        await response.prepare(request)
        content = stream.content[start:stop]
        if self.faults.stall_at is not None:
            await response.write(content[: self.faults.stall_at])
            await asyncio.Event().wait()
        if self.faults.cuts:
            await response.write(content[: self.faults.cuts.pop(0)])
            await asyncio.sleep(0)
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(content + self.faults.excess)
        return response

    def _later(self) -> web.Response:
        self.faults.turned_away -= 1
        return web.json_response(
            {"detail": "come back", "status": 429},
            status=429,
            content_type="application/problem+json",
            headers={"Retry-After": "0"},
        )

    async def _put(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        self.transfer_headers.append(dict(request.headers))
        if self.faults.turned_away:
            return self._later()
        if self.faults.put_status is not None:
            status, self.faults.put_status = self.faults.put_status, None
            return web.json_response(
                {"title": "no", "detail": "not taken", "status": status},
                status=status,
                content_type="application/problem+json",
            )
        upload = self.uploads[request.match_info["token"]]
        body = await request.read()
        upload["sealed"] = body.startswith(b"crypt4gh")
        if upload["sealed"]:
            unsealer = Unsealer(upload["private"])
            body = b"".join([*unsealer.feed(body), *unsealer.close()])
        upload["plain"] = body
        told = "00000000" if self.faults.lie_about_adler else adler(body)
        checksum = {} if self.faults.forget_adler else {"adler32": told}
        return web.json_response({"size": len(body), **checksum}, status=201)


def _method(operation: str) -> str:
    return "_" + re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), operation)


def seal(plain: bytes, recipient: bytes) -> tuple[bytes, bytes, list[SealedPart]]:
    """A sealed stream of three parts, its sender and its parts."""
    edges = [0, len(plain) // 5, len(plain) * 4 // 5, len(plain)]
    pieces = [plain[a:b] for a, b in itertools.pairwise(edges)]
    parts = [SealedPart(len(piece), os.urandom(7)) for piece in pieces]
    keys = [os.urandom(32) for _ in parts]
    layout = SealedLayout(parts)
    sender = new_private_key()
    packets: list[DataKey | EditList] = [DataKey(keys[part]) for part in packet_order(len(parts))]
    if layout.edit_list:
        packets.append(EditList(layout.edit_list))
    stream = bytearray(
        seal_header(
            packets,
            sender_private=sender,
            recipient_public=recipient,
            nonces=[os.urandom(12) for _ in packets],
        )
    )
    for part, piece, key, size in zip(parts, pieces, keys, layout.sealed_sizes, strict=True):
        stream += SegmentKey(key, part.prefix).encrypt_run(piece.ljust(size, b"\0"), 0, True)
    return bytes(stream), public_key(sender), parts


@asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    """A fake server on a free port of the loopback."""
    fake = FakeServer()
    runner = web.AppRunner(fake.app(), handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()
