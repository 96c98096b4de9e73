"""Each verb of WebDAV does what the verb of SRM does, and answers as RFC 4918 has it."""

from tests.web.dav.face import Dav
from tests.web.made_images import made

ONE, OTHER = made(), made(pixels=70_000)


async def test_a_file_put_is_listed_read_moved_and_removed(dav: Dav) -> None:
    assert (await dav.call("MKCOL", "d")).status == 201
    assert (await dav.call("PUT", "d/a.dcm", ONE)).status == 201
    found = await dav.propfind("d")
    assert list(found) == [dav.path("d/"), dav.path("d/a.dcm")]
    assert [told.is_directory for told in found.values()] == [True, False]
    whole = await dav.call("GET", "d/a.dcm")
    assert whole.body == await dav.server.read(f"{dav.at}/d/a.dcm")
    # Its writer is told of what was sent, for a while.
    assert found[dav.path("d/a.dcm")].text("getcontentlength") == str(len(ONE))
    head = await dav.call("HEAD", "d/a.dcm")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(ONE)))
    assert (await dav.call("MOVE", "d/a.dcm", Destination=dav.path("b.dcm"))).status == 201
    assert (await dav.call("GET", "b.dcm")).body == whole.body
    assert (await dav.call("DELETE", "b.dcm")).status == 204
    assert (await dav.call("GET", "b.dcm")).status == 404


async def test_what_is_told_of_a_name_that_is_missing(dav: Dav) -> None:
    for method in ("GET", "HEAD", "PROPFIND", "DELETE"):
        assert (await dav.call(method, "a", Depth="infinity")).status == 404, method
    assert (await dav.call("MOVE", "a", Destination=dav.path("b"))).status == 404


async def test_where_the_directory_is_missing_there_is_a_conflict(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    assert (await dav.call("PUT", "no/a.dcm", ONE)).status == 409
    assert (await dav.call("MKCOL", "no/d")).status == 409
    assert (await dav.call("MOVE", "a.dcm", Destination=dav.path("no/a.dcm"))).status == 409


async def test_what_has_the_name_is_replaced_by_a_move_that_may_overwrite(dav: Dav) -> None:
    for name, data in (("a.dcm", ONE), ("b.dcm", OTHER)):
        await dav.puts(name, data)
    moved = (await dav.call("GET", "a.dcm")).body
    kept = await dav.call("MOVE", "a.dcm", Destination=dav.path("b.dcm"), Overwrite="F")
    assert kept.status == 412
    assert await dav.names() == ["a.dcm", "b.dcm"]
    assert (await dav.call("MOVE", "a.dcm", Destination=dav.path("b.dcm"))).status == 204
    assert await dav.names() == ["b.dcm"]
    assert (await dav.call("GET", "b.dcm")).body == moved


async def test_a_directory_takes_the_place_of_another(dav: Dav) -> None:
    for name in ("a", "b"):
        assert (await dav.call("MKCOL", name)).status == 201
    await dav.puts("b/old.dcm", ONE)
    await dav.puts("a/new.dcm", ONE)
    assert (await dav.call("MOVE", "a/", Destination=dav.path("b/"), Overwrite="T")).status == 204
    assert (await dav.names(), await dav.names("b")) == (["b/"], ["new.dcm"])


async def test_nothing_takes_the_place_of_itself_or_of_what_it_is_in(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", ONE)
    for source, target in (("d/a.dcm", "d/a.dcm"), ("d/a.dcm", "d"), ("d", "d")):
        assert (await dav.call("MOVE", source, Destination=dav.path(target))).status == 403
    assert await dav.names("d") == ["a.dcm"]


async def test_a_directory_goes_with_all_in_it_with_or_without_a_slash(dav: Dav) -> None:
    for spelling in ("d", "d/"):
        await dav.call("MKCOL", "d")
        await dav.puts("d/a.dcm", ONE)
        assert (await dav.call("DELETE", spelling)).status == 204
        assert await dav.names() == []
    await dav.call("MKCOL", "d")
    assert (await dav.call("DELETE", "d", Depth="0")).status == 400


async def test_a_name_that_is_taken(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    assert (await dav.call("MKCOL", "d")).status == 405
    assert (await dav.call("PUT", "a.dcm", ONE)).status == 201
    assert (await dav.call("PUT", "a.dcm", OTHER, If_None_Match="*")).status == 412
    assert (await dav.call("PUT", "a.dcm", OTHER)).status == 204


async def test_a_new_directory_takes_no_body(dav: Dav) -> None:
    assert (await dav.call("MKCOL", "d", b"<a/>")).status == 415
    assert await dav.names() == []


async def test_a_destination_on_another_host_is_refused(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    there = f"https://elsewhere.example{dav.path('b.dcm')}"
    assert (await dav.call("MOVE", "a.dcm", Destination=there)).status == 502
    here = f"{dav.server.url}{dav.path('b.dcm')}"
    assert (await dav.call("MOVE", "a.dcm", Destination=here)).status == 201


async def test_options_tell_what_is_spoken(dav: Dav) -> None:
    answer = await dav.call("OPTIONS")
    assert (answer.status, answer.headers["DAV"].split(",")[0]) == (200, "1")
    assert {"PROPFIND", "MOVE", "PUT"} <= set(answer.headers["Allow"].split(", "))


async def test_a_directory_is_not_listed_with_all_below_it(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    assert (await dav.call("PROPFIND", Depth="infinity")).status == 403
    assert (await dav.call("PROPFIND")).status == 403
    assert list(await dav.propfind("a.dcm", depth="infinity")) == [dav.path("a.dcm")]
    assert list(await dav.propfind("a.dcm", depth="1")) == [dav.path("a.dcm")]


async def test_what_another_has_changed_meanwhile_is_not_changed_by_who_names_what_it_was(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    etag = (await dav.call("GET", "a.dcm")).headers["ETag"]
    for method, name, match, expected in (
        ("PUT", "a.dcm", "*", 204),
        ("PUT", "a.dcm", etag, 412),
        ("DELETE", "a.dcm", etag, 412),
        ("PUT", "b.dcm", "*", 412),
        ("MKCOL", "d", "*", 412),
        ("PUT", "a.dcm", (await dav.call("GET", "b.dcm")).headers.get("ETag", '"x"'), 412),
    ):
        sent = made(seed=1) if method == "PUT" else None
        answer = await dav.call(method, name, sent, If_Match=match)
        assert answer.status == expected, (method, name, match)
    now = (await dav.call("GET", "a.dcm")).headers["ETag"]
    assert (await dav.call("DELETE", "a.dcm", If_Match=f'"x", {now}')).status == 204


async def test_what_the_caller_may_not_list_is_not_replaced(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    await dav.puts("b.dcm", made(seed=1))
    blind = dav.by(await dav.server.token("rwdx", dav.at))
    for method in ("MOVE", "COPY"):
        assert (await blind.call(method, "a.dcm", Destination=dav.path("b.dcm"))).status == 409, method
    assert await dav.names() == ["a.dcm", "b.dcm"]
