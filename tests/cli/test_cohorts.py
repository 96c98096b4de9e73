"""`mdm cohort`, as a researcher uses it."""

from pathlib import Path

import pytest

from mdm_async.client import Client, cohort_download
from tests.cli.conftest import Run
from tests.conftest import Server
from tests.web.made_images import made


class Cut(Exception):
    """What a pull does not expect."""


@pytest.fixture
async def study(server: Server, folder: str) -> list[str]:
    """The GUIDs of three files."""
    lines = [await server.put(f"{folder}/{n}.dcm", made(pixels=3 << 20, seed=n)) for n in range(3)]
    return [str(line["guid"]) for line in lines]


def key(server: Server) -> Path:
    return server.data / "audit" / "audit.pub"


async def test_a_cohort_is_made_shown_pulled_verified_and_deleted(
    server: Server, mdm: Run, folder: str, study: list[str], tmp_path: Path
) -> None:
    query, into = 'Modality = "CT" and Rows >= 1', tmp_path / "trial"
    made_ = await mdm("cohort", "create", f"{folder}/trial", query, "--view", "basic")
    assert made_.code == 0, made_.err
    assert "3 files pinned, digest " in made_.text
    assert (await mdm("cohort", "list", folder, "--json")).json["cohorts"][0]["name"] == "trial"
    shown = await mdm("cohort", "show", f"{folder}/trial", "--members")
    assert query in shown.text
    assert "3 available" in shown.text
    assert f"{folder}/1.dcm" in shown.text
    pulled = await mdm("cohort", "get", f"{folder}/trial", into, "--key", key(server))
    assert pulled.code == 0, pulled.err
    assert {one.name for one in into.iterdir()} == {f"{guid}.dcm" for guid in study}
    assert (into / f"{study[0]}.dcm").read_bytes() == await server.read(f"{folder}/0.dcm")
    file = tmp_path / "trial.manifest"
    exported = await mdm("cohort", "export", f"{folder}/trial", "-o", file, "--key", key(server))
    assert exported.code == 0, exported.err
    assert (await mdm("cohort", "verify", file, into, "--key", key(server))).code == 0
    assert (
        "3 files verified, 3 of them were there" in (await mdm("cohort", "get", f"{folder}/trial", into)).text
    )
    same = await mdm("cohort", "diff", f"{folder}/trial")
    assert (same.code, same.text) == (0, "3 files as they were pinned\n")
    await server.srm("rm", surls=[f"{folder}/2.dcm"])
    other = await mdm("cohort", "diff", f"{folder}/trial")
    assert (other.code, f"- guid:{study[2]}" in other.text) == (1, True)
    (into / f"{study[2]}.dcm").unlink()
    again = await mdm("cohort", "get", f"{folder}/trial", into, "--json")
    assert [one["wasThere"] for one in again.json["files"]].count(False) == 1
    assert (await mdm("cohort", "verify", file, into)).code == 0
    assert (await mdm("cohort", "delete", f"{folder}/trial", "--json")).json == {"deleted": f"{folder}/trial"}
    assert (await mdm("cohort", "show", f"{folder}/trial")).code == 3


async def test_a_list_is_pinned_from_stdin_or_a_file(
    mdm: Run, folder: str, study: list[str], tmp_path: Path
) -> None:
    names = tmp_path / "chosen.txt"
    names.write_text(f"{folder}/0.dcm\n{folder}/2.dcm\n")
    made_ = await mdm("cohort", "create", f"{folder}/list", "--files-from", names, "--json")
    assert made_.json["members"] == 2
    assert (await mdm("cohort", "create", f"{folder}/none")).code == 2
    both = await mdm("cohort", "create", f"{folder}/none", "Rows > 1", "--files-from", names)
    assert both.code == 2


async def test_what_was_changed_here_is_found_and_pulled_again(
    server: Server, mdm: Run, folder: str, study: list[str], tmp_path: Path
) -> None:
    await mdm("cohort", "create", f"{folder}/c", 'Modality = "CT"')
    into, file = tmp_path / "c", tmp_path / "c.manifest"
    assert (await mdm("cohort", "get", f"{folder}/c", into)).code == 0
    await mdm("cohort", "export", f"{folder}/c", "-o", file)
    changed = into / f"{study[1]}.dcm"
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    found = await mdm("cohort", "verify", file, into, "--key", key(server))
    assert found.code == 5
    assert study[1] in found.err
    assert (await mdm("cohort", "get", f"{folder}/c", into)).code == 0
    assert (await mdm("cohort", "verify", file, into)).code == 0
    text = file.read_text()
    file.write_text(text.replace('"members": 3', '"members": 2'))
    assert (await mdm("cohort", "verify", file)).code == 5


async def test_a_pull_that_was_cut_goes_on(
    server: Server, mdm: Run, folder: str, study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mdm("cohort", "create", f"{folder}/c", 'Modality = "CT"')
    into = tmp_path / "c"
    download = cohort_download.download

    async def cut(pull, target, *, on_bytes=None):  # type: ignore[no-untyped-def]
        came = 0

        def count(size: int) -> None:
            nonlocal came
            came += size
            if came > 2 << 20:
                raise Cut

        return await download(pull, target, on_bytes=count)

    with monkeypatch.context() as once:
        once.setattr(cohort_download, "download", cut)
        async with Client(server.url, server.admin_token) as client:
            with pytest.raises(Cut):
                await client.cohorts.get(f"{folder}/c", into, parallel=1)
    parts = list(into.glob("*.part"))
    assert parts
    done = await mdm("cohort", "get", f"{folder}/c", into, "--json")
    assert done.code == 0, done.err
    assert any(one["resumed"] for one in done.json["files"])
    assert not list(into.glob("*.part"))


async def test_what_is_shredded_is_told_and_all_else_pulled(
    server: Server, mdm: Run, folder: str, study: list[str], tmp_path: Path
) -> None:
    await mdm("cohort", "create", f"{folder}/c", 'Modality = "CT"')
    async with server.house.database.acquire() as db:
        image = await db.fetchval("select image from entries where guid::text = $1", study[1])
        async with db.transaction():
            await db.execute("delete from entries where image = $1", image)
            await db.execute(
                "update images set doomed = now(), in_use_until = '-infinity' where id = $1", image
            )
    await server.house.sweeper.sweep()
    done = await mdm("cohort", "get", f"{folder}/c", tmp_path / "c")
    assert done.code != 0
    assert "shredded" in done.err
    assert len(list((tmp_path / "c").glob("*.dcm"))) == 2
    assert "2 available, 1 shredded" in (await mdm("cohort", "show", f"{folder}/c")).text
    exported = await mdm("cohort", "export", f"{folder}/c", "-o", tmp_path / "m", "--key", key(server))
    assert exported.code == 0
