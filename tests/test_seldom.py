"""A flood of what is logged does not become one of the log, and its size is told."""

from mdm_async.errors import Unavailable
from mdm_async.seldom import Seldom
from mdm_async.web.http import problem
from tests.web.test_privacy import captured_log


def test_so_many_of_a_kind_are_told_and_then_how_many_were_not() -> None:
    now = 0.0
    seldom = Seldom(3, lambda: now)
    assert [seldom.tell("a") for _ in range(5)] == [{}, {}, {}, None, None]
    assert seldom.tell("b") == {}
    now = 60.0
    assert seldom.tell("a") == {"unsaid": 2}
    assert seldom.tell("a") == {}


def test_a_thousand_requests_that_fail_alike_are_no_thousand_lines() -> None:
    with captured_log() as log:
        for _ in range(1000):
            problem.log(Unavailable())
    assert log.getvalue().count("request failed") <= 60


def test_a_flood_of_one_failure_hides_no_other() -> None:
    """A stranger can make the server ask for what is away as often as he likes, and both are of one class."""

    def flood() -> None:
        raise Unavailable("an issuer does not answer")

    def key_lost() -> None:
        raise Unavailable("a key is not there")

    with captured_log() as log:
        for fails in (*[flood] * 200, key_lost):
            try:
                fails()
            except Unavailable as why:
                problem.log(why)
    assert log.getvalue().count("an issuer does not answer") <= 60
    assert "a key is not there" in log.getvalue()
