"""The steps of a probe where one of them fails half-way."""

from yarl import URL

from mdm_async.client.probing.endpoint import Endpoint
from mdm_async.client.probing.probe import Probed, Thresholds, Verdict, _round_trip, _Steps
from mdm_async.errors import Unreachable


class Forgetful:
    """Stores what is put, and its answer is lost."""

    def __init__(self) -> None:
        self.there: set[str] = set()

    async def ping(self) -> str:
        return "1"

    async def ls(self, path: str) -> None:
        pass

    async def put(self, path: str, data: bytes) -> None:
        self.there.add(path)
        raise Unreachable("the connection was cut")

    async def get(self, path: str) -> bytes:
        raise AssertionError

    async def delete(self, path: str) -> None:
        self.there.remove(path)
        raise Unreachable("the connection was cut")


async def test_a_file_whose_put_was_not_answered_is_removed_all_the_same() -> None:
    face = Forgetful()
    probed = Probed(Endpoint("davs", URL("https://localhost:8443"), "/"))
    await _round_trip(_Steps(probed, Thresholds()), face, "/probe.dcm")
    assert face.there == set()
    assert [(step.name, step.verdict) for step in probed.steps] == [("put", Verdict.CRITICAL)]
