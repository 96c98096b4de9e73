"""Which addresses copies may reach."""

import pytest

from mdm_async.web.copying.addresses import may_be_reached

INSIDE = [
    *("127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.1.1", "100.64.0.1"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("::1", "fd00::1", "fe80::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:1::1", "2001::1", "::127.0.0.1"),
    *("2001:db8::1", "3fff::1", "5f00::1", "100::1"),
]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "ff02::1"),
    *("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "168.63.129.16", "100.100.100.200"),
    *("fd00:ec2::254", "fe80::1%eth0", "localhost", "2130706433", "0x7f.1", "127.1", "010.0.0.1", ""),
]
AT_LARGE = ["192.0.1.1", "8.8.8.8", "1.1.1.1", "2a00:1450::1", "2002:808:808::1", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_passes_only_where_its_network_is_listed(address: str) -> None:
    assert not may_be_reached(address, [])
    assert may_be_reached(address, ["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_reached(address: str) -> None:
    assert not may_be_reached(address, ["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize("address", AT_LARGE)
def test_the_internet_at_large_passes(address: str) -> None:
    assert may_be_reached(address, [])


def test_a_listed_network_lets_in_its_own_addresses_and_no_others() -> None:
    assert may_be_reached("127.0.0.1", ["127.0.0.0/8"])
    assert may_be_reached("::ffff:127.0.0.1", ["127.0.0.0/8"])
    assert not may_be_reached("10.0.0.1", ["127.0.0.0/8"])
    assert not may_be_reached("::1", ["127.0.0.0/8"])
