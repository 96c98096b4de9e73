"""The archive as a file system of fsspec, as pandas, dask, zarr and pydicom use it.

with fsspec.open("mdm://mdm.example.org:8443/vo/study/1.dcm") as file:
    head = pydicom.dcmread(file, stop_before_pixels=True)  # moves the head only

`mdm://host:port` is TLS, and plain HTTP on the loopback of this machine; `mdm+https://` is TLS anywhere; without a host
the server is found as by `mdm`. Options are those of `Client`, and `view`, `sealed` and `pin` of `Client.prepare`.
Errors are those of `mdm_async.errors`, Python's own where it has one.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fsspec.asyn import AsyncFileSystem, sync, sync_wrapper
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from yarl import URL

from mdm_async.client.client import Client
from mdm_async.client.entry import Entry
from mdm_async.client.filesystem_files import MdmAsyncFile, MdmFile, MdmNewFile
from mdm_async.client.tickets import Tickets
from mdm_async.errors import BadRequest, MdmError
from mdm_async.loopback import is_loopback


class MdmFileSystem(AsyncFileSystem):
    """Files that are asked for at the same time are prepared by one request. What was read stays prepared for seconds
    afterwards; `close` releases all. Writing a file takes the place of what has its name.
    """

    protocol = ("mdm", "mdm+https")
    root_marker = "/"
    cachable = True

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: str | None = None,
        ca: str | None = None,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._url, self._token, self._data, self._ca = url, token, data, ca
        self._preparing = (view, sealed, pin)
        self._opening: asyncio.Task[Tickets] | None = None

    # -- names

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """The LFN, with a view before it if there is one, of a URL or a path."""
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        text = str(path)
        for protocol in cls.protocol:
            if text.startswith(f"{protocol}://"):
                text = "/" + text.removeprefix(f"{protocol}://").partition("/")[2]
                break
        return "/" + text.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        scheme, _, rest = path.partition("://")
        host = rest.partition("/")[0]
        if not host:
            return {}
        tls = scheme == "mdm+https" or not is_loopback(URL(f"http://{host}").host or "")
        return {"url": f"{'https' if tls else 'http'}://{host}"}

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a path, with the server that was named."""
        at = URL(self._url) if self._url is not None else None
        scheme = "mdm+https" if at is not None and at.scheme == "https" else "mdm"
        return f"{scheme}://{at.authority if at is not None else ''}{self._strip_protocol(name)}"

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        return _told(await (await self._client()).stat(self._strip_protocol(path)))

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        client = await self._client()
        found = [_told(entry) async for entry in client.ls(self._strip_protocol(path))]
        return found if detail else sorted(each["name"] for each in found)

    async def _mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        await (await self._client()).mkdir(self._strip_protocol(path), parents=create_parents)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        client, path = await self._client(), self._strip_protocol(path)
        if not exist_ok:
            *above, _ = Path(path).parents
            if above:
                await client.mkdir(str(above[0]), parents=True)
        await client.mkdir(path, parents=exist_ok)

    async def _rmdir(self, path: str) -> None:
        await (await self._client()).rmdir(self._strip_protocol(path))

    async def _rm_file(self, path: str, **_: Any) -> None:
        await (await self._client()).rm(self._strip_protocol(path))

    async def _rm(self, path: Any, recursive: bool = False, batch_size: int | None = None, **_: Any) -> None:
        client = await self._client()
        await client.rm(await self._expand_path(path, recursive=False), recursive=recursive)

    async def _mv(self, path1: str, path2: str, **_: Any) -> None:
        await (await self._client()).mv(self._strip_protocol(path1), self._strip_protocol(path2))

    mv = sync_wrapper(_mv)

    def modified(self, path: str) -> Any:
        """When it was last changed."""
        return self.info(path)["mtime"]

    def created(self, path: str) -> Any:
        """When it was made."""
        return self.info(path)["created"]

    # -- bytes out

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        async with self.pulling(path) as pull:
            begin, stop = _place(start, 0, pull.size), _place(end, pull.size, pull.size)
            return await pull.read(begin, stop) if begin < stop else b""

    async def _get_file(
        self, rpath: str, lpath: str, callback: Callback = DEFAULT_CALLBACK, **_: Any
    ) -> None:
        client, path = await self._client(), self._strip_protocol(rpath)
        tickets = await self._tickets()
        try:
            kept = await tickets.begin(path)
        except MdmError:
            if not await self._isdir(path):
                raise
            await asyncio.to_thread(Path(lpath).mkdir, parents=True, exist_ok=True)
            return
        try:
            callback.set_size(kept.ticket.plain_size)
            await asyncio.to_thread(Path(lpath).parent.mkdir, parents=True, exist_ok=True)
            await client.get(path, lpath, prepared=kept.ticket, on_bytes=callback.relative_update)
        finally:
            tickets.end(path, kept)

    @asynccontextmanager
    async def pulling(self, path: str) -> AsyncGenerator[Any, None]:
        """A file prepared, as `Tickets.pulling`."""
        async with (await self._tickets()).pulling(self._strip_protocol(path)) as pull:
            yield pull

    # -- bytes in

    async def _put_file(
        self,
        lpath: str,
        rpath: str,
        mode: str = "overwrite",
        callback: Callback = DEFAULT_CALLBACK,
        **_: Any,
    ) -> None:
        client, path = await self._client(), self._strip_protocol(rpath)
        if await asyncio.to_thread(Path(lpath).is_dir):
            await client.mkdir(path, parents=True)
            return
        callback.set_size((await asyncio.to_thread(Path(lpath).stat)).st_size)
        overwrite = mode == "overwrite"
        await client.put(lpath, path, overwrite=overwrite, parents=True, on_bytes=callback.relative_update)

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        client = await self._client()
        await client.put(value, self._strip_protocol(path), overwrite=mode == "overwrite", parents=True)

    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        raise BadRequest("files are not copied within the archive", remedy="link them: mdm link")

    # -- open files

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **options: Any) -> Any:
        path = self._strip_protocol(path)
        if mode == "rb":
            return MdmFile(self, path, block_size=block_size, **options)
        if mode in ("wb", "xb"):
            return MdmNewFile(self, path, "overwrite" if mode == "wb" else "create")
        raise BadRequest("a file of the archive is read, or written as a whole", remedy="open it as rb or wb")

    async def open_async(self, path: str, mode: str = "rb", **_: Any) -> MdmAsyncFile:
        """For reading, on the event loop of this file system."""
        if mode != "rb":
            raise BadRequest("a file is opened for reading here", remedy="store it by pipe_file or put_file")
        path = self._strip_protocol(path)
        tickets = await self._tickets()
        return MdmAsyncFile(self, path, tickets, await tickets.begin(path))

    # -- the client

    async def _client(self) -> Client:
        return (await self._tickets()).client

    async def _tickets(self) -> Tickets:
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened())
        try:
            return await asyncio.shield(self._opening)
        except Exception:
            self._opening = None
            raise

    async def _opened(self) -> Tickets:
        client = Client(self._url, self._token, data=self._data, ca=self._ca)
        await client.__aenter__()
        tickets = Tickets(client, *self._preparing)
        weakref.finalize(self, _closed_behind, asyncio.get_running_loop(), tickets)
        return tickets

    async def _close(self) -> None:
        """Release what is prepared, and end the connections. It may be used again."""
        if self._opening is not None:
            opening, self._opening = self._opening, None
            await _closed(await opening)

    def close(self) -> None:
        """As `await fs._close()` of one that is not asynchronous."""
        sync(self.loop, self._close)


async def _closed(tickets: Tickets) -> None:
    await tickets.aclose()
    await tickets.client.__aexit__(None, None, None)


def _closed_behind(loop: asyncio.AbstractEventLoop, tickets: Tickets) -> None:
    """Of a file system that nobody has any more."""
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(_closed(tickets), loop)


def _told(entry: Entry) -> dict[str, Any]:
    """`size` is None while it is not known, as of a view that waits to be made; whoever wrote the file a short while
    ago is told that of what was sent (`transfers.writer_window`)."""
    return {
        "name": entry.path,
        "type": "directory" if entry.is_directory else "file",
        "size": 0 if entry.is_directory else entry.size,
        "mtime": entry.modified,
        "created": entry.created,
        "adler32": entry.adler32,
        "guid": entry.guid,
        "view": entry.view,
        "view_state": entry.view_state,
        "locality": entry.locality,
    }


def _place(given: int | None, default: int, size: int) -> int:
    """As a slice has it."""
    if given is None:
        return default
    return max(0, size + given) if given < 0 else min(given, size)
