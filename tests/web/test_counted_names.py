"""Of whoever shows no credential the files are counted that a request names, whatever is asked about them."""

from pathlib import Path

from tests.conftest import running_server
from tests.postgres.for_tests import PostgresForTests


async def test_thousands_of_names_are_taken_of_nobody_once_in_a_while(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    """Before: 6,000 names held the event loop for 0.2 s and more, and counted as one request of fifty a second."""
    dsn = await postgres.fresh_database(migrated)
    many, one = ({"surls": [f"/{number}" for number in range(count)]} for count in (600, 1))
    async with running_server(tmp_path / "data", dsn, limits={"anonymous_rate": 1}) as server:
        assert (await server.call("POST", "/srm/v2/ls", json=many)).status == 401
        for path in ("/srm/v2/ls", "/srm/v2/checkPermission", "/catalog/v1/replicas/list", "/srm/v2/rm"):
            refused = await server.call("POST", path, json=many)
            assert refused.status == 429, path
            assert int(refused.headers["Retry-After"]) > 10
        assert (await server.call("POST", "/srm/v2/ls", token=server.admin_token, json=many)).status == 404
        assert (await server.call("POST", "/srm/v2/ls", json=one)).status == 429
