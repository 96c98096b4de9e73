"""Who is calling, as the grid's tools say it: over TLS, with a proxy that has VOMS attributes."""

from tests.interop.grid_tools import GridTools


async def test_curl_with_a_proxy_is_known_by_its_owner(grid_tools: GridTools) -> None:
    ran = await grid_tools.well(
        "curl",
        "-sS",
        "--capath",
        str(grid_tools.grid.authorities),
        "--cert",
        str(grid_tools.proxy),
        "-X",
        "POST",
        "-d",
        '{"surl": "/grid"}',
        "-H",
        "Content-Type: application/json",
        grid_tools.https("/admin/v1/whoami"),
    )
    assert '"dn:/C=XX/O=Test Grid/CN=Ada User"' in ran.out, str(ran)
