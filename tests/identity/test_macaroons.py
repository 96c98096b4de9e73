"""Macaroons against pymacaroons, and what their caveats leave."""

import base64
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymacaroons import Macaroon as Theirs
from pymacaroons import Verifier

from mdm_async.identity import caveats
from mdm_async.identity.caveats import BadCaveat, told_moment
from mdm_async.identity.macaroons import MAX_CAVEATS, NoMacaroon, looks_like_one, mint, parse
from mdm_async.names import Ability, Lfn, Right, Scope, parse_rights

KEY = b"k" * 32
OWN = ("whose", "which")
NAMES = ["id:whose", "iid:which"]


def left(*more: str) -> caveats.Caveats:
    return caveats.of([*NAMES, *more], OWN)


def bound(*more: str) -> Scope | None:
    return left(*more).bound


class TestBytes:
    @given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), max_size=5))
    def test_what_is_minted_here_is_verified_by_pymacaroons(self, added):
        theirs = Theirs.deserialize(mint(KEY, "https://mdm", "one", added).text())
        verifier = Verifier()
        for caveat in added:
            verifier.satisfy_exact(caveat)
        assert verifier.verify(theirs, KEY)
        assert [caveat.caveat_id for caveat in theirs.caveats] == added

    @given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), max_size=5))
    def test_what_pymacaroons_adds_is_verified_here(self, added):
        theirs = Theirs.deserialize(mint(KEY, "https://mdm", "one", ["path:/a"]).text())
        for caveat in added:
            theirs.add_first_party_caveat(caveat)
        ours = parse(theirs.serialize())
        assert ours.is_made_with(KEY)
        assert ours.caveats == ("path:/a", *added)
        assert not ours.is_made_with(b"j" * 32)

    def test_no_caveat_can_be_taken_away_changed_or_moved(self):
        whole = parse(
            mint(KEY, "l", "one", ["path:/a", "activity:LIST", "before:2030-01-01T00:00:00Z"]).text()
        )
        one, two, three = whole.caveats
        for other in (
            (one, two),
            (two, one, three),
            (one, "activity:LIST,DELETE", three),
            (*whole.caveats, one),
            (),
        ):
            altered = parse(type(whole)(whole.location, whole.identifier, other, whole.signature).text())
            assert not altered.is_made_with(KEY)
        assert not type(whole)("l", "two", whole.caveats, whole.signature).is_made_with(KEY)

    def test_caveats_for_third_parties_deny(self):
        theirs = Theirs.deserialize(mint(KEY, "l", "one", []).text())
        theirs.add_third_party_caveat("https://elsewhere", "secret key of the third", "who")
        with pytest.raises(NoMacaroon, match="third party"):
            parse(theirs.serialize())

    def test_padding_may_be_there_or_not(self):
        for caveat in ("a", "ab", "abc"):
            text = mint(KEY, "l", "one", [caveat]).text()
            assert parse(text + "=" * (-len(text) % 4)).is_made_with(KEY)

    @pytest.mark.parametrize(
        "content",
        [b"", b"0000", b"0004", b"ffffidentifier x\n", b"0005 ", b"0011identifier x", b"000fsignature \n", b"zzzz",
         b"0014identifier abc\n\n000ecid path\n", b"0013location http\n", b"001cidentifier" + b" " * 15],
    )  # fmt: skip
    def test_malformed_ones_are_none(self, content):
        with pytest.raises(NoMacaroon):
            parse(base64.urlsafe_b64encode(content).decode())

    def test_a_long_one_is_refused_before_it_is_looked_at_and_so_is_one_of_many_caveats(self):
        with pytest.raises(NoMacaroon, match="longer than"):
            parse("M" * 8193)
        with pytest.raises(NoMacaroon, match="more than 64"):
            parse(mint(KEY, "l", "one", ["a"] * (MAX_CAVEATS + 1)).text())

    @given(
        st.text(max_size=200) | st.binary(max_size=200).map(lambda b: base64.urlsafe_b64encode(b).decode())
    )
    def test_any_text_is_one_or_none(self, text):
        looks_like_one(text)
        with suppress(NoMacaroon):
            assert not parse(text).is_made_with(KEY)

    def test_it_looks_like_one_and_other_tokens_do_not(self):
        assert looks_like_one(mint(KEY, "", "one", []).text())
        assert looks_like_one(mint(KEY, "https://mdm", "one", []).text())
        for other in ("", "eyJhbGciOi.eyJpc3Mi.c2ln", "MDAxMGxvY2F0aW9uIH", "x" * 43, "MDA", "é"):
            assert not looks_like_one(other) or other.startswith("MDAx")


class TestCaveats:
    def test_without_an_activity_all_is_left_but_identities_and_changes_of_rights(self):
        assert bound() == Scope(
            Lfn("/"), frozenset(Right) - {Right.IDENTITY, Right.PERMISSION}, None, frozenset(Ability)
        )

    @pytest.mark.parametrize(
        ("activity", "rights", "also"),
        [
            ("LIST", "lxg", set()),
            ("DOWNLOAD", "rxg", set()),
            ("UPLOAD", "wxg", {Ability.DIRECTORIES}),
            ("DELETE", "dxg", set()),
            ("MANAGE", "xg", {Ability.DIRECTORIES}),
            ("STAGE", "xg", {Ability.STAGE}),
            ("READ_METADATA", "xg", set()),
            ("UPDATE_METADATA", "sxg", set()),
            ("LIST,DOWNLOAD", "lrxg", set()),
            ("MANAGE,UPLOAD,DELETE,LIST", "lwdxg", {Ability.DIRECTORIES}),
        ],
    )
    def test_an_activity_leaves_its_rights(self, activity, rights, also):
        assert bound(f"activity:{activity}") == Scope(Lfn("/"), parse_rights(rights), None, frozenset(also))

    def test_several_activities_leave_what_they_have_in_common(self):
        one = bound("activity:LIST,DOWNLOAD,UPLOAD", "activity:UPLOAD,DELETE")
        assert one is not None
        assert one.rights == parse_rights("wxg")
        one = bound("activity:LIST", "activity:DELETE")
        assert one is not None
        assert one.rights == frozenset()

    @pytest.mark.parametrize(
        ("paths", "path"),
        [
            (["/a"], "/a"),
            (["/a", "/a/b"], "/a/b"),
            (["/a/b", "/a", "/"], "/a/b"),
            (["//a/./b//"], "/a/b"),
            (["/@basic/a/b", "/a"], "/a/b"),
            (["/a", "/ab"], None),
            (["/a/b", "/a/c"], None),
            (["/foo/bar", "/foo/bargain"], None),
        ],
    )
    def test_several_paths_leave_what_they_have_in_common_by_component(self, paths, path):
        for kinds in (["path"] * 3, ["root", "path", "root"]):
            found = bound(*(f"{kind}:{one}" for kind, one in zip(kinds, paths, strict=False)))
            assert (found.path if found is not None else None) == path

    def test_a_home_bars_nothing_and_must_be_a_path(self):
        assert bound("home:/a/b") == bound()
        with pytest.raises(BadCaveat):
            left("home:../a")

    def test_the_earliest_end_counts(self):
        late, early = time.time() + 900, time.time() + 60
        assert left(f"before:{told_moment(late)}", f"before:{told_moment(early)}").before == int(early)
        assert left("before:2030-01-01T01:00:00.123456789+01:00").before == pytest.approx(1893456000.123456)
        assert left("before:2030-01-01T00:00Z").before == 1893456000

    @pytest.mark.parametrize(
        ("networks", "inside", "outside"),
        [
            (["192.0.2.7"], ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "", "local", "::1"]),
            (["192.0.2.0/24"], ["192.0.2.255"], ["192.0.3.0"]),
            (["2001:db8::/32,10.0.0.0/8"], ["2001:db8::1", "10.1.2.3"], ["2001:db9::1", "11.0.0.1"]),
            (["10.0.0.0/8", "10.1.0.0/16"], ["10.1.0.1"], ["10.2.0.1"]),
            (["10.0.0.0/8", "11.0.0.0/8"], [], ["10.1.0.1", "11.0.0.1"]),
        ],
    )
    def test_addresses_are_in_every_network(self, networks, inside, outside):
        found = left(*(f"ip:{one}" for one in networks))
        assert all(map(found.admit, inside))
        assert not any(map(found.admit, outside))

    @pytest.mark.parametrize(
        "caveat",
        ["", "x", "activity", "activity:", "activity:FLY", "activity:LIST,", "activity:list", "Activity:LIST",
         "path:", "path:a", "path:/a/../b", "path:/%2e%2e", "path:guid:00000000-0000-0000-0000-000000000000",
         "path:srm://h/a", "path:/a\x00", "root:..", "before:", "before:2030-01-01", "before:2030-01-01T00:00:00",
         "before:tomorrow", "before:2030-13-01T00:00:00Z", "before:2030-01-01T00:00:00Z and more", "ip:", "ip:x",
         "ip:1.2.3", "ip:1.2.3.4/33", "ip:1.2.3.4,", f"ip:{','.join(['1.2.3.4'] * 65)}", "name:ada", "max-upload:1",
         "id:whose", "iid:which", "id:another", " path:/a"],
    )  # fmt: skip
    def test_what_is_not_understood_denies(self, caveat):
        with pytest.raises(BadCaveat) as why:
            left(caveat)
        assert len(caveat) < 9 or caveat not in str(why.value)

    @pytest.mark.parametrize(
        "names", [[], NAMES[:1], NAMES[1:], [*NAMES, NAMES[0]], ["id:whose", "iid:x"], ["id:x", "iid:which"]]
    )
    def test_there_is_exactly_one_id_and_one_iid(self, names):
        with pytest.raises(BadCaveat):
            caveats.of([*names, "path:/a"], OWN)

    def test_nobody_asks_for_an_id_of_their_own(self):
        for caveat in NAMES:
            with pytest.raises(BadCaveat):
                caveats.of([caveat], None)
        assert caveats.of(["path:/a"], None).bound is not None
