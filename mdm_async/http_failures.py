"""What goes wrong between this server and another one, in words of our own: what the other says is told to nobody."""

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp

from mdm_async.errors import MdmError

_NO_WAY: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


@contextmanager
def told_as(error: type[MdmError], whom: str, *, why: bool = False) -> Iterator[None]:
    """While a request to `whom` ("the archive") goes on. `why`: also tell for what reason it cannot be reached; whoever
    may choose the other server would explore a network by it.
    """
    try:
        yield
    except MdmError:
        raise
    except TimeoutError:
        raise error(f"{whom} does not answer in time") from None
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError):
        raise error(f"the certificate of {whom} is not trusted, or is of another host") from None
    except (aiohttp.ClientSSLError, ssl.SSLError):
        raise error(f"{whom} does not speak TLS as it should") from None
    except aiohttp.ClientConnectorError as failed:
        reason = f": {why_unreached(failed.os_error)}" if why else ""
        raise error(f"{whom} cannot be reached{reason}") from None
    except (aiohttp.ClientResponseError, aiohttp.http.HttpProcessingError):
        raise error(f"{whom} does not speak HTTP as it should") from None
    except (aiohttp.ClientError, OSError, EOFError, ValueError):
        raise error(f"the connection to {whom} broke off") from None


def why_unreached(failed: OSError) -> str:
    """Why no connection was made."""
    if isinstance(failed, socket.gaierror):
        return "its host's name is not known (DNS)"
    if isinstance(failed, ConnectionRefusedError):
        return "its host refuses the connection (nothing listens on the port, or a firewall says no)"
    if isinstance(failed, TimeoutError) or failed.errno == errno.ETIMEDOUT:
        return "its host does not answer (switched off, or a firewall drops what is sent)"
    if failed.errno in _NO_WAY:
        return "no network leads to its host"
    return "no connection is made"
