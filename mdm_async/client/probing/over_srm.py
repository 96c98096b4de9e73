"""A probe's steps over SRM v2.2: SOAP, with httpg's byte before each request."""

import asyncio
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from yarl import URL

from mdm_async.client.probing.line import Line
from mdm_async.client.told_errors import error_from_status
from mdm_async.errors import WrongContent

_NAMESPACE: Final = "http://srm.lbl.gov/StorageResourceManager"
_ENVELOPE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
    f' xmlns:m="{_NAMESPACE}"><s:Body><m:{{0}}>{{1}}</m:{{0}}></s:Body></s:Envelope>'
)
_QUEUED: Final = ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS")
_PAUSE: Final = 0.5


class OverSrm:
    """`transfers`: the line without the byte, by which transfer URLs are reached."""

    def __init__(self, line: Line, transfers: Line) -> None:
        self._line, self._transfers = line, transfers

    async def ping(self) -> str:
        """The version of SRM."""
        return (await self._call("Ping", "", status=False)).findtext("versionInfo", "unknown")

    async def ls(self, path: str) -> None:
        await self._call("Ls", f"{_surls(self._surl(path))}<numOfLevels>0</numOfLevels>")

    async def put(self, path: str, data: bytes) -> None:
        surl = self._surl(path)
        token, turl = await self._prepared("Put", f"<targetSURL>{surl}</targetSURL>")
        await self._transfers.ask("PUT", turl, data, shown=False)
        await self._call("PutDone", f"<requestToken>{token}</requestToken>{_surls(surl)}")

    async def get(self, path: str) -> bytes:
        surl = self._surl(path)
        token, turl = await self._prepared("Get", f"<sourceSURL>{surl}</sourceSURL>")
        answer = await self._transfers.ask("GET", turl, shown=False)
        await self._call("ReleaseFiles", f"<requestToken>{token}</requestToken>")
        return answer.body

    async def delete(self, path: str) -> None:
        await self._call("Rm", _surls(self._surl(path)))

    async def _prepared(self, way: str, file: str) -> tuple[str, str]:
        """The request's token and its one transfer URL, asked for until it is there."""
        files = f"<arrayOfFileRequests><requestArray>{file}</requestArray></arrayOfFileRequests>"
        answer = await self._call(f"PrepareTo{way}", f"{files}{_HTTPS}")
        token = escape(answer.findtext("requestToken", ""))
        while answer.findtext("returnStatus/statusCode") in _QUEUED:
            await asyncio.sleep(_PAUSE)
            answer = await self._call(f"StatusOf{way}Request", f"<requestToken>{token}</requestToken>")
        turl = answer.findtext(".//transferURL")
        if turl is None:
            raise WrongContent(f"PrepareTo{way} gave no transfer URL")
        return token, str(URL(turl))

    async def _call(self, operation: str, fields: str, *, status: bool = True) -> ElementTree.Element:
        name = f"srm{operation}"
        body = _ENVELOPE.format(name, f"<{name}Request>{fields}</{name}Request>").encode()
        answer = await self._line.ask(
            "POST", "/srm/managerv2", body, kind="text/xml; charset=utf-8", headers={"SOAPAction": '""'}
        )
        found = _inner(answer.body, f"{name}Response")
        if status:
            _demand_success(found)
        return found

    def _surl(self, path: str) -> str:
        base = self._line.base
        return escape(f"srm://{base.host}:{base.port}/srm/managerv2?SFN={path}")


_HTTPS: Final = (
    "<transferParameters><arrayOfTransferProtocols><stringArray>https</stringArray></arrayOfTransferProtocols>"
    "</transferParameters>"
)


def _surls(surl: str) -> str:
    return f"<arrayOfSURLs><urlArray>{surl}</urlArray></arrayOfSURLs>"


def _inner(body: bytes, name: str) -> ElementTree.Element:
    """The unqualified element of the answer. Raises WrongContent."""
    if b"<!" in body:
        raise WrongContent("the answer has a document type, as no answer of SRM has")
    try:
        found = ElementTree.fromstring(body).find(f".//{{{_NAMESPACE}}}{name}/{name}")  # noqa: S314 — no DTD, bounded
    except ElementTree.ParseError:
        raise WrongContent("the answer is not XML") from None
    if found is None:
        raise WrongContent("the answer is not SRM's")
    return found


def _demand_success(answer: ElementTree.Element) -> None:
    """Raises the error of the first file that failed, else that of the whole."""
    statuses = [*answer.iterfind(".//status"), *answer.iterfind("returnStatus")]
    for one in statuses:
        told = {name: one.findtext(name) for name in ("statusCode", "explanation")}
        error = error_from_status({name: text for name, text in told.items() if text})
        if error is not None:
            raise error
