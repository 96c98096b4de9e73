"""The channel rule: what may travel over which URL.

Whatever carries a credential, a listing, a recipient, metadata or clear bytes needs TLS or the true loopback.
Only a sealed stream at its transfer URL may use plain HTTP elsewhere. Asked before anything is sent.
"""

from yarl import URL

from mdm_async.errors import BadRequest, InsecureChannel
from mdm_async.loopback import is_loopback


def parse_url(text: str | URL) -> URL:
    """An absolute http(s) URL without user or password; BadRequest otherwise."""
    try:
        url = URL(text)
    except ValueError:
        raise BadRequest("a URL is malformed") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise BadRequest("a URL is not http:// or https://", remedy="give https://host[:port]")
    if url.user is not None or url.password is not None:
        raise BadRequest("a URL holds a user name or a password", remedy="leave out what stands before '@'")
    return url


def is_confidential(url: URL) -> bool:
    """True for TLS and for the loopback of this machine, which no other machine hears."""
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host or ""))


def demand_confidential(url: URL, what: str) -> None:
    """InsecureChannel unless `what` may be sent to or read from `url`."""
    if not is_confidential(url):
        raise InsecureChannel(
            f"{what} would cross the network in the clear, to {url.origin()}",
            remedy="use an https:// URL, or transfer sealed",
        )


def demand_transfer_channel(url: URL, *, sealed: bool) -> None:
    """InsecureChannel unless the bytes of this transfer may use `url`: sealed ones may use any."""
    if not sealed:
        demand_confidential(url, "an image that is not sealed")
