"""A probe's steps over the JSON interface."""

from typing import Any, Final

import orjson

from mdm_async.client.probing.line import Line
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import error_from_problem
from mdm_async.errors import WrongContent

_JSON: Final = "application/json"


class OverHttps:
    def __init__(self, line: Line) -> None:
        self._line = line

    async def ping(self) -> str:
        """The server's version."""
        answer = await self._line.ask("GET", "/health/ready", shown=False)
        try:
            return str(orjson.loads(answer.body)["version"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise WrongContent("the answer is not an mdm server's") from None

    async def ls(self, path: str) -> None:
        (await self._srm("ls", surls=[path], count=1)).demand_all()

    async def put(self, path: str, data: bytes) -> None:
        prepared = await self._srm("prepareToPut", files=[{"surl": path, "expectedFileSize": len(data)}])
        await self._line.ask("PUT", _turl(prepared), data, shown=False)
        (await self._srm("putDone", requestToken=prepared.token, surls=[path])).demand_all()

    async def get(self, path: str) -> bytes:
        prepared = await self._srm("prepareToGet", files=[{"surl": path}])
        answer = await self._line.ask("GET", _turl(prepared), shown=False)
        await self._srm("releaseFiles", requestToken=prepared.token)
        return answer.body

    async def delete(self, path: str) -> None:
        (await self._srm("rm", surls=[path])).demand_all()

    async def _srm(self, operation: str, **body: Any) -> Reply:
        answer = await self._line.ask(
            "POST", f"/srm/v2/{operation}", orjson.dumps(body), kind=_JSON, raises=False
        )
        if answer.status >= 400 and b'"returnStatus"' not in answer.body:
            raise error_from_problem(answer.status, answer.body, answer.headers)
        return Reply.parse(answer.body)


def _turl(prepared: Reply) -> str:
    return str(prepared.only().get("transferURL", ""))
