"""Names that callers give."""

import unicodedata
from dataclasses import replace
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.errors import BadPath, BadRequest
from mdm_async.names import ANYONE, Ability, Caller, Lfn, Right, Scope, Surl, View, parse_lfn, parse_surl


@pytest.mark.parametrize(
    ("text", "surl"),
    [
        ("/vo/a.dcm", Surl(Lfn("/vo/a.dcm"))),
        ("/vo/dir/", Surl(Lfn("/vo/dir"))),
        ("/", Surl(Lfn("/"))),
        ("srm://host:8443/srm/managerv2?SFN=/vo/a b", Surl(Lfn("/vo/a b"))),
        ("srm://host/vo/a", Surl(Lfn("/vo/a"))),
        ("srm://host", Surl(Lfn("/"))),
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
    ["", "vo/a", "./vo/a", "/vo/../a", "/vo/a\x00b", "/vo/\n", "/" + "a" * 256, "/a" * 3000, "srm://", "srm://host?x",
     "/@/vo", "/@UPPER/vo", "/@basic/../vo", "//@/vo", "/./@UPPER/vo", "/@basic/@basic/vo", "/@basic//@basic/vo",
     "/@identified/./@basic/vo", "/.//../@basic/vo", "srm://h/srm/managerv2?SFN=vo", "/vo/\ud800",
     "srm://h/srm/managerv2?SFN=/vo/../a", "srm://h//srm/managerv2?SURL=/vo/a"],
)  # fmt: skip
def test_malformed_names_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadPath) as why:
        parse_surl(text)
    assert len(text) < 12 or text not in str(why.value)


@pytest.mark.parametrize(
    "name",
    ["Müller", "画像 1", "ＣＴ画像", "снимок.dcm", "TNF-α", "50%", "50% off", "100%25",
     "a%20b", "%E4%BD%A0", "a+b", "a b", "...", "..a", ".hidden", "a..b", "~", "@basic", "a?b#c", "½", "µCT", "צילום",
     "ภาพ", "صورة", "a:b", "'quoted'", "😀", "é" * 127, "a" * 255, "10мм_CT1", "Αθήνα 2024 CT"],
)  # fmt: skip
def test_ordinary_names_are_left_alone(name: str) -> None:
    assert parse_lfn(f"/vo/{name}") == f"/vo/{name}"
    assert parse_lfn(f"/vo/{name}/") == f"/vo/{name}"


MISLEADING = {
    "dots": ["..", "../a", "a/..", "./..", "..//", "a/./.."],
    "control": ["a\x00", "a\x1f", "a\x7f", "a\x85", "a\r\nb", "\t"],
    "surrogate": ["\udc80"],
    "backslash": ["a\\b", "..\\..", "\\"],
    "encoded": ["%2f", "%2F", "a%2Fb", "%2e%2e", "%2E", "a%2eb", "%00", "%5c", "%5C", "%252f", "%25252f",
                "%2525252525252f", "%25%32%66", "%c0%af", "%C0%AE", "%e0%80%af", "%f0%80%80%af", "%0d%0a", "%7f",
                "%e2%80%8b", "%ef%bc%8f"],
    "slashes": ["a\u2044b", "a\u2215b", "a\u29f8b", "a\u29f5b", "a\uff0fb", "a\u2571b", "a\u2216b", "a\ufe68b",
                "a\uff3cb", "a\u0338b", "a\u2100b"],
    "dot leaders": ["\u2024\u2024", "a\u2024b", "\u2025", "\ufe52", "\uff0e\uff0e", "a\uff0edcm"],
    "invisible": ["a\u200bb", "a\u200d", "a\u00adb", "\u202eabc", "a\u2066b", "\ufeffa", "a\ufe0f", "a\U000e0100",
                  "a\u180b", "a\u2028b", "a\u2029b", "\ue000", "\u0378", "\U0010ffff", "\u3164", "a\u034fb", "\u2800",
                  "a\U000e0041"],
    "spaces": ["a\u00a0b", "a\u2003b", "a\u2009b"],
    "scripts": ["p\u0430tient", "\u0391BC", "CT\u0421", "\u0561a", "\u13aaB", "a1\u0430", "a\u0301\u0430",
                "dcm.\u0441t"],
    "accents": ["\u0301a", "\u0308"],
    "long": ["a" * 256, "é" * 128, "画" * 86, "%" * 256],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in MISLEADING.items() for name in names]
)
def test_names_that_others_may_take_for_different_ones_are_refused(kind: str, name: str) -> None:
    for text in (f"/vo/{name}/x", f"/{name}/x", f"/vo/x/{name}/x", f"srm://h/srm/managerv2?SFN=/vo/{name}/x"):
        with pytest.raises(BadPath) as why:
            parse_surl(text)
        assert len(name) < 5 or name not in str(why.value)


@pytest.mark.parametrize("name", ["a", "é", "a%20b", "画像 1"])
def test_slashes_that_stand_together_are_one_and_a_dot_is_nothing(name: str) -> None:
    for text in (
        f"/vo/{name}/",
        f"//vo///{name}",
        f"/vo/./{name}",
        f"/./vo/{name}/.",
        f"/vo//.//{name}//",
        f"/.//vo/././{name}",
    ):
        assert parse_lfn(text) == f"/vo/{name}"
        for view in ("/@basic", "//@basic", "/./@basic/.", "/@basic/"):
            assert parse_surl(view + text) == Surl(Lfn(f"/vo/{name}"), View("basic"))
        for host in ("srm://h/srm/managerv2?SFN=", "srm://h:1//srm//managerv2?SFN=", "srm://h"):
            assert parse_surl(host + text) == Surl(Lfn(f"/vo/{name}"))


def test_the_root_has_as_many_spellings() -> None:
    for text in ("/", "//", "/.", "/./", "/.//.", "/" * 4096):
        assert parse_lfn(text) == "/"
        assert parse_surl(f"/@basic{text[:999]}") == Surl(Lfn("/"), View("basic"))
    assert parse_surl("//@basic") == Surl(Lfn("/"), View("basic"))


def test_a_path_has_64_levels_at_the_most() -> None:
    for name in ("a", "é"):
        assert parse_lfn(f"/{name}" * 64 + "/") == f"/{name}" * 64
        assert parse_lfn(f"/./{name}//" * 64) == f"/{name}" * 64
        for text in (
            f"/{name}" * 65,
            f"/@basic{f'/{name}' * 65}",
            f"srm://h{f'/{name}' * 65}",
            f"//{name}/." * 65,
        ):
            with pytest.raises(BadPath, match="64 levels"):
                parse_surl(text)


def test_a_path_has_4096_bytes_at_the_most() -> None:
    assert len(parse_lfn("/" + "/".join(["a" * 255] * 16))) == 4096
    for text in ("/a" * 2049, "/" + "/".join(["a" * 255] * 16) + "/", "/" + "/".join(["é" * 127] * 17)):
        with pytest.raises(BadPath, match="4096"):
            parse_lfn(text)


def test_a_bad_path_is_a_bad_request_and_stands_in_the_audit() -> None:
    assert issubclass(BadPath, BadRequest)
    assert BadPath.is_refusal


@given(st.text(alphabet=st.sampled_from("/.%25fFeEcC0\\aé\u0430\u0301\u2044\u200b @"), max_size=40))
def test_what_is_accepted_is_safe_also_when_it_is_decoded(text: str) -> None:
    try:
        lfn = parse_lfn("/" + text)
    except BadPath:
        return
    for seen in (lfn, unquote(lfn), unquote(unquote(lfn)), unicodedata.normalize("NFKC", unquote(lfn))):
        assert seen == "/" or all(part not in ("", ".", "..") for part in seen[1:].split("/"))
        assert seen.count("/") == lfn.count("/")
        assert "\\" not in seen
        assert not lfn.startswith("/@")
    assert parse_lfn(lfn) == lfn


@given(st.text(max_size=60))
def test_every_text_is_a_name_or_a_bad_path(text: str) -> None:
    for whole in (text, "/" + text, "/@" + text, "srm://h/srm/managerv2?SFN=/" + text, "guid:" + text):
        try:
            surl = parse_surl(whole)
        except BadPath:
            continue
        assert surl.guid is not None or parse_lfn(surl.lfn) == surl.lfn
        if surl.guid is None and whole.startswith("/"):
            assert parse_surl("/./" + whole + "//.") == surl


class TestGuids:
    GUID = "0b5a4c9e-6b1f-4d2a-9c3e-8f7a6b5c4d3e"

    @pytest.mark.parametrize("text", [f"guid:{GUID}", f"guid:{GUID.upper()}"])
    def test_a_guid_names_an_entry_without_its_path(self, text: str) -> None:
        assert parse_surl(text) == Surl(None, None, UUID(self.GUID))

    def test_it_is_no_path_until_somebody_looks_it_up(self) -> None:
        with pytest.raises(BadPath, match="only a path"):
            _ = parse_surl(f"guid:{self.GUID}").lfn

    @pytest.mark.parametrize(
        "text",
        ["guid:", "guid:x", f"guid:{GUID}x", f"guid:{GUID} ", f"guid:{GUID}\n", f"guid:{{{GUID}}}", f"guid:/{GUID}",
         f"guid:{GUID.replace('-', '')}", f"GUID:{GUID}", f"/guid:{GUID}/.."],
    )  # fmt: skip
    def test_others_are_malformed(self, text: str) -> None:
        with pytest.raises(BadPath):
            parse_surl(text)


def test_nobodys_name_makes_them_the_owner_of_what_a_weaker_credential_asked_for() -> None:
    ada, scope = "sub:https://issuer.example#ada", Scope(Lfn("/vo"), frozenset({Right.READ}))
    weaker = [
        Caller(ada, frozenset({ada}), limited=True),
        Caller(ada, frozenset({ANYONE}), (scope,)),
        Caller(ada, frozenset({ANYONE})),
        Caller(ada, frozenset({ada}), token=5),
    ]
    owners = {caller.owner for caller in weaker}
    assert len(owners) == 4
    for name in (ada, f"{ada} limited", f"{ada} /vo r", f"{ada} ", f"{ada} token 5", f"{ada} capabilities"):
        assert Caller(name, frozenset({name})).owner not in owners


def test_a_macaroon_that_was_narrowed_does_not_own_what_the_wider_one_asked_for() -> None:
    wide = Scope(Lfn("/vo"), frozenset({Right.READ, Right.WRITE}))
    bounds = [
        wide,
        replace(wide, path=Lfn("/vo/study")),
        replace(wide, rights=frozenset({Right.READ})),
        replace(wide, also=frozenset({Ability.STAGE})),
        None,
    ]
    owners = {Caller("user:ada", frozenset({"user:ada"}), token=5, bound=bound).owner for bound in bounds}
    assert len(owners) == len(bounds)


def test_many_long_scopes_make_no_owner_that_is_too_long_to_be_kept() -> None:
    scopes = tuple(Scope(Lfn(f"/vo/{n}" + "x" * 200), frozenset({Right.READ})) for n in range(100))
    every, all_but_one = (Caller("sub:a#b", frozenset(), some).owner for some in (scopes, scopes[1:]))
    assert every != all_but_one
    assert len(every) < 200


def test_a_scope_ends_at_a_component() -> None:
    scope = Scope(Lfn("/foo/bar"), frozenset({Right.READ}))
    assert scope.covers("/foo/bar")
    assert scope.covers("/foo/bar/baz")
    assert not scope.covers("/foo/bargain")
    assert not scope.covers("/foo")
