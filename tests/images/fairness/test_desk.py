"""What a request for files counts for: while it is looked into, afterwards, and when it came to nothing."""

from uuid import uuid4

import pytest

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.desk import Desk
from mdm_async.names import ANYONE, Payer
from mdm_async.settings import LimitSettings

SOMEBODY, STRANGER = Payer("jane", "worker 1"), Payer(ANYONE, "192.0.2.1")
BOTH = pytest.mark.parametrize("payer", [SOMEBODY, STRANGER], ids=["a caller", "a stranger"])


@pytest.fixture
def desk() -> Desk:
    return Desk.of(LimitSettings(outstanding=400, anonymous_outstanding=400))


def outstanding(desk: Desk) -> int:
    return desk.known.used + desk.anonymous.used


@BOTH
def test_what_was_asked_for_is_outstanding_until_it_is_released(desk: Desk, payer: Payer) -> None:
    request = uuid4()
    with desk.asking(request, payer, 100, life=60):
        assert outstanding(desk) == 100
    desk.end(request, 30)
    assert outstanding(desk) == 70
    with pytest.raises(TooManyRequests), desk.asking(uuid4(), payer, 100, life=60):
        pass
    desk.end(request, 70)
    assert outstanding(desk) == 0


@BOTH
def test_what_came_to_nothing_is_not(desk: Desk, payer: Payer) -> None:
    with pytest.raises(LookupError), desk.asking(uuid4(), payer, 100, life=60):
        raise LookupError
    assert outstanding(desk) == 0


@BOTH
def test_a_pin_that_is_extended_counts_for_longer(desk: Desk, payer: Payer) -> None:
    now = 0.0
    desk.known.clock = desk.anonymous.clock = lambda: now
    requests = uuid4(), uuid4()
    for request in requests:
        with desk.asking(request, payer, 40, life=60):
            pass
    desk.extend(requests[0], 90)
    now = 61.0
    assert outstanding(desk) == 40
    now = 91.0
    assert outstanding(desk) == 0
