"""The socket in the data directory, by which commands on the same machine reach the server without a token.

Whoever may connect is the server's user or root, and so its administrator; nobody but those two could have put the
socket there, and so it proves the server to them.
"""

import os
import socket
import struct
from typing import cast

from aiohttp import web

from mdm_async.errors import Forbidden

SOURCE = "socket"
"""Stands for an address in the audit."""
_PEER = struct.Struct("3i")
"""struct ucred: pid, uid, gid (unix(7))."""


def came_by_socket(request: web.Request) -> bool:
    # Whatever came by TCP has an address.
    return not request.remote and _socket_of(request) is not None


def demand_own_peer(request: web.Request) -> None:
    """Raises Forbidden for others than root and the server's own user, whom the socket's mode keeps away already."""
    connection = _socket_of(request)
    if connection is None or _uid_of_peer(connection) not in (0, os.geteuid()):
        raise Forbidden("the socket is for the server's own user and root")


def _uid_of_peer(connection: socket.socket) -> int:
    # A duplicate: uvloop's stand-in for a socket has no options.
    with socket.socket(fileno=os.dup(connection.fileno())) as own:
        _, uid, _ = _PEER.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return cast("int", uid)


def _socket_of(request: web.Request) -> socket.socket | None:
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    is_local = connection is not None and connection.family == socket.AF_UNIX
    return connection if is_local else None
