"""Which addresses a server may be made to connect to. Pure.

A site's own network trusts the site's own servers: whoever can make one of them connect to an address of his choice
reaches what he could not reach himself. So only addresses of the internet at large pass, and others where the
administrator says so.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_NEVER = [
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8"),
        # Where clouds tell a machine its credentials.
        *("169.254.169.254/32", "169.254.170.2/32", "168.63.129.16/32", "100.100.100.200/32"),
        *("fd00:ec2::254/128", "fd20:ce::254/128"),
    )
]
_NOT_AT_LARGE = [
    ip_network(network)
    for network in (
        *("192.88.99.0/24", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32"),
        *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10"),
    )
]
"""Special networks (IANA's registries, RFC 3879) that some versions of `ipaddress` count as global."""
_TRANSLATED = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")


def meant(address: str) -> Address | None:
    """The address that is reached in the end: of an IPv6 address that carries one of IPv4, this one.

    None of what is none, or is one on some interface only (`fe80::1%eth0`).
    """
    if "%" in address:
        return None
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return parsed
    if parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    if parsed in _TRANSLATED:
        return IPv4Address(parsed.packed[-4:])
    if parsed in _6TO4:
        return IPv4Address(parsed.packed[2:6])
    return parsed


def may_be_reached(address: str, networks: Sequence[str]) -> bool:
    """Whether the other server may be there. `networks`: where others than those at large may be."""
    found = meant(address)
    if found is None or _within(found, _NEVER):
        return False
    if _within(found, [ip_network(network) for network in networks]):
        return True
    return found.is_global and not _within(found, _NOT_AT_LARGE)


def _within(address: Address, networks: Sequence[object]) -> bool:
    return any(address in network for network in networks)  # type: ignore[operator]
