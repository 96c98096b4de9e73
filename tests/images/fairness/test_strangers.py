"""Behind one address there may be a site: what some do there without a right locks out none who has one."""

import pytest

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.fairness.strangers import Strangers

NAT = "192.0.2.1"


@pytest.fixture
def strangers() -> Strangers:
    return Strangers(Rates(1, 20, lambda: 0.0))


def flood(strangers: Strangers, credential: str) -> None:
    for _ in range(21):
        strangers.count(NAT, credential)
    with pytest.raises(TooManyRequests):
        strangers.demand(NAT, credential)


@pytest.mark.parametrize("repeated", ["", "ended"])
def test_a_new_credential_is_looked_at_whatever_is_repeated_beside_it(
    strangers: Strangers, repeated: str
) -> None:
    flood(strangers, repeated)
    strangers.demand(NAT, "new")
    strangers.know("new")
    strangers.demand(NAT, "new")


def test_credentials_that_are_guessed_are_refused_and_one_that_was_valid_is_not(strangers: Strangers) -> None:
    strangers.know("valid")
    for number in range(20):
        strangers.demand(NAT, f"guess {number}")
        strangers.count(NAT, f"guess {number}")
    with pytest.raises(TooManyRequests):
        strangers.demand(NAT, "another guess")
    strangers.demand(NAT, "valid")
    strangers.demand(NAT, "")


def test_one_that_was_refused_and_has_become_valid_is_let_in(strangers: Strangers) -> None:
    flood(strangers, "early")
    strangers.know("early")
    strangers.demand(NAT, "early")
