"""What a client is told while its copy runs: `text/perf-marker-stream`, as GridFTP's performance markers. Pure."""

import time

from mdm_async.web.copying.progress import Progress

MEDIA_TYPE = "text/perf-marker-stream"
SUCCESS = b"success: Created\n"


def marker(progress: Progress) -> bytes:
    lines = [
        "Perf Marker",
        f"    Timestamp: {int(time.time())}",
        "    Stripe Index: 0",
        f"    Stripe Bytes Transferred: {progress.bytes}",
        "    Total Stripe Count: 1",
    ]
    if progress.remote is not None:
        host, port = progress.remote
        lines.append(f"    RemoteConnections: tcp:{f'[{host}]' if ':' in host else host}:{port}")
    return "\n".join([*lines, "End", ""]).encode()


def failure(why: Exception) -> bytes:
    """One line, whatever the reason holds."""
    return f"failure: {' '.join(''.join(c if c.isprintable() else ' ' for c in str(why)).split())}\n".encode()
