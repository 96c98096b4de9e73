"""The client and the real server: what goes in comes out, de-identified or byte for byte."""

import hashlib
import itertools

import pytest

from mdm_async import errors
from mdm_async.client import Client, Pull


@pytest.fixture
async def admin(server):
    async with Client(server.url, server.admin_token) as client:
        yield client


@pytest.fixture
async def accredited(server):
    """May read the identified view too."""
    token = await server.token("pdrwlxgsi", views=["identified", "basic"])
    async with Client(server.url, token) as client:
        yield client


@pytest.fixture
async def folder(server):
    return await server.directory()


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
def sealed(request):
    return request.param


async def test_what_goes_in_comes_out_the_same_whichever_way(admin, accredited, folder, ct, tmp_path, sealed):
    (tmp_path / "ct.dcm").write_bytes(ct)
    stored = await admin.put(tmp_path / "ct.dcm", f"{folder}/ct.dcm", sealed=sealed)
    assert stored.size == len(ct)
    got = await accredited.get(f"{folder}/ct.dcm", tmp_path / "original.dcm", view="identified")
    assert got.sealed
    assert (tmp_path / "original.dcm").read_bytes() == ct

    whole = await admin.read(f"{folder}/ct.dcm", sealed=False)
    assert await admin.read(f"{folder}/ct.dcm", sealed=True) == whole
    assert whole != ct
    entry = await admin.stat(f"{folder}/ct.dcm")  # Its writer is told of what was sent.
    assert (entry.size, entry.view, entry.view_state) == (len(ct), "basic", "ready")
    entry = await admin.stat(f"/@basic{folder}/ct.dcm")
    assert (entry.size, entry.view, entry.view_state) == (len(whole), "basic", "ready")


async def test_ranges_put_together_are_the_whole(admin, folder, ct, sealed):
    await admin.put(ct, f"{folder}/ct.dcm")
    whole = await admin.read(f"{folder}/ct.dcm")
    async with await admin.open(f"{folder}/ct.dcm", sealed=sealed) as file:
        edges = [0, 1, 500, 1200, 30_000, len(whole) - 1, len(whole)]
        pieces = [await file.pull.read(start, stop) for start, stop in itertools.pairwise(edges)]
    assert b"".join(pieces) == whole


async def test_a_view_chosen_by_the_name_is_served(admin, accredited, folder, ct):
    await admin.put(ct, f"{folder}/ct.dcm")
    assert await accredited.read(f"/@identified{folder}/ct.dcm") == ct


async def test_a_caller_without_the_right_does_not_get_the_identified_view(admin, folder, ct):
    await admin.put(ct, f"{folder}/ct.dcm")
    with pytest.raises(errors.Forbidden):
        await admin.read(f"{folder}/ct.dcm", view="identified")


async def test_a_released_transfer_url_is_dead(admin, folder, ct, sealed):
    await admin.put(ct, f"{folder}/ct.dcm")
    prepared = await admin.prepare([f"{folder}/ct.dcm"], sealed=sealed)
    pull = Pull(admin.wire, prepared.only())
    await admin.release(prepared)
    with pytest.raises(errors.Gone):
        await pull.read()
    await admin.release(prepared)


async def test_a_transfer_url_that_died_is_replaced_on_the_way(admin, folder, ct, tmp_path, sealed):
    path = f"{folder}/ct.dcm"
    await admin.put(ct, path)
    prepared = await admin.prepare([path], sealed=sealed)
    await admin.release(prepared)
    got = await admin.get(path, tmp_path / "ct.dcm", sealed=sealed, prepared=prepared.only())
    assert hashlib.sha256((tmp_path / "ct.dcm").read_bytes()).digest() == (
        hashlib.sha256(await admin.read(path)).digest()
    )
    assert got.sealed is sealed


async def test_what_is_not_dicom_is_refused_with_the_servers_reason(admin, folder, sealed):
    with pytest.raises(errors.NotDicom, match="DICM"):
        await admin.put(b"\0" * 3_000_000, f"{folder}/x.dcm", sealed=sealed)
    with pytest.raises(errors.NotFound):
        await admin.stat(f"{folder}/x.dcm")


async def test_a_truncated_file_is_refused_and_its_name_stays_free(admin, folder, ct, sealed):
    with pytest.raises(errors.Truncated):
        await admin.put(ct[:-5000], f"{folder}/x.dcm", sealed=sealed)
    await admin.put(ct, f"{folder}/x.dcm", sealed=sealed)


async def test_a_name_that_is_taken_is_not_overwritten_unless_asked(admin, folder, ct):
    await admin.put(ct, f"{folder}/x.dcm")
    with pytest.raises(errors.Exists):
        await admin.put(ct, f"{folder}/x.dcm")
    await admin.put(ct, f"{folder}/x.dcm", overwrite=True)


async def test_names_are_made_listed_moved_and_removed(admin, folder, ct):
    await admin.mkdir(f"{folder}/a/b", parents=True)
    await admin.put(ct, f"{folder}/a/b/ct.dcm")
    await admin.mv(f"{folder}/a/b/ct.dcm", f"{folder}/a/moved.dcm")
    assert sorted([entry.path async for entry in admin.walk(folder)]) == [
        f"{folder}/a",
        f"{folder}/a/b",
        f"{folder}/a/moved.dcm",
    ]
    await admin.rm(f"{folder}/a/moved.dcm")
    with pytest.raises(errors.NotFound):
        await admin.rm(f"{folder}/a/moved.dcm")
    with pytest.raises(errors.NotEmpty):
        await admin.rmdir(f"{folder}/a")
    await admin.rmdir(f"{folder}/a", recursive=True)
    with pytest.raises(errors.NotFound):
        await admin.stat(f"{folder}/a")


async def test_a_bulk_prepare_of_many_is_one_request(admin, folder, ct):
    await admin.put(ct, f"{folder}/0.dcm")
    paths = [f"{folder}/0.dcm", *(f"{folder}/{n}.dcm" for n in range(1, 500))]
    prepared = await admin.prepare(paths, sealed=False)
    assert len(prepared.tickets) == 1
    assert len(prepared.failures) == 499
    assert len(prepared.tokens) == 1
    await admin.release(prepared)


async def test_permissions_are_told(server, admin, folder):
    token = await server.token("rlxg")
    async with Client(server.url, token) as reader:
        assert set((await reader.permissions([folder]))[folder]) == set("rlxg")


async def test_no_token_is_told_apart_from_a_wrong_one(server, monkeypatch, tmp_path):
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MDM_DATA", str(tmp_path))
    monkeypatch.setattr("mdm_async.client.discovery.SHARED_TMP", tmp_path)
    async with Client(server.url) as nobody:
        with pytest.raises(errors.Unauthenticated, match="no token was found"):
            await nobody.stat("/")
    async with Client(server.url, "wrong") as stranger:
        with pytest.raises(errors.Unauthenticated, match="unknown"):
            await stranger.stat("/")
