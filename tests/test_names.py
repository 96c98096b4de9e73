"""Names that callers give."""

import pytest

from mdm_async.errors import BadRequest
from mdm_async.names import Lfn, Right, Scope, Surl, parse_lfn, parse_surl


@pytest.mark.parametrize(
    ("text", "surl"),
    [
        ("/vo/a.dcm", Surl(Lfn("/vo/a.dcm"))),
        ("/vo/dir/", Surl(Lfn("/vo/dir"))),
        ("/", Surl(Lfn("/"))),
        ("srm://host:8443/srm/managerv2?SFN=/vo/a b", Surl(Lfn("/vo/a b"))),
        ("srm://host/vo/a", Surl(Lfn("/vo/a"))),
        ("/@basic/vo/a", Surl(Lfn("/vo/a"), "basic")),  # type: ignore[arg-type]
        ("srm://h:1/srm/managerv2?SFN=/@identified/vo/a", Surl(Lfn("/vo/a"), "identified")),  # type: ignore[arg-type]
        ("/vo/100%25", Surl(Lfn("/vo/100%25"))),
    ],
)
def test_all_forms_of_a_surl_lead_to_the_same_names(text: str, surl: Surl) -> None:
    assert parse_surl(text) == surl


def test_names_are_normalised_so_that_equal_looking_ones_are_one() -> None:
    assert parse_lfn("/vo/Mu\u0308ller") == parse_lfn("/vo/M\u00fcller")


@pytest.mark.parametrize(
    "text",
    ["", "vo/a", "/vo//a", "/vo/../a", "/vo/./a", "/vo/a\x00b", "/vo/\n", "/" + "a" * 256, "/a" * 3000, "srm://host",
     "/@/vo", "/@UPPER/vo", "srm://h/srm/managerv2?SFN=vo", "/vo/\ud800"],
)  # fmt: skip
def test_malformed_names_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadRequest) as why:
        parse_surl(text)
    assert len(text) < 12 or text not in str(why.value)


def test_a_scope_ends_at_a_component() -> None:
    scope = Scope(Lfn("/foo/bar"), frozenset({Right.READ}))
    assert scope.covers("/foo/bar")
    assert scope.covers("/foo/bar/baz")
    assert not scope.covers("/foo/bargain")
    assert not scope.covers("/foo")
