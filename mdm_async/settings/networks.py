"""Addresses, and networks of them, as settings name those who may call."""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network_of(host: str) -> Network:
    """Raises ValueError."""
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        raise ValueError(
            f"{host!r} is no address, and no network of them: write 192.0.2.7, or 192.0.2.0/28; names are not looked up"
        ) from None
