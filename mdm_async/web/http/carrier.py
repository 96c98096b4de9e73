"""The transport that takes a connection's bytes to the network, below TLS if there is any.

What waits there for a slow reader is no part of what TLS says that it has to write: an answer of 64 MiB may.
"""

import asyncio
import gc


def carrier(transport: asyncio.Transport) -> asyncio.Transport:
    """The transport itself where there is no TLS."""
    tls = transport.get_extra_info("uvloop.sslproto")
    # uvloop names it nowhere. What TLS refers to are this one, the transport above and what belongs to the handshake.
    below = (one for one in gc.get_referents(tls) if hasattr(one, "get_write_buffer_size"))
    return next((one for one in below if one is not transport), transport)
