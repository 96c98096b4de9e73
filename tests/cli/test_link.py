"""`mdm link`: a project's own names for images."""

import pytest


@pytest.fixture
async def hospital(server, folder, ct):
    """Three images in two directories."""
    await server.srm("mkdir", surl=f"{folder}/in")
    await server.srm("mkdir", surl=f"{folder}/in/b")
    await server.srm("mkdir", surl=f"{folder}/project")
    for number, name in enumerate(("1.dcm", "b/2.dcm", "b/3.dcm")):
        await server.put(
            f"{folder}/in/{name}",
            ct.replace(
                b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
                (f"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.1232{number}").encode(),
            ),
        )
    return folder


async def test_files_get_names_of_the_project_and_its_view(mdm, hospital):
    done = await mdm("link", f"{hospital}/in/1.dcm", f"{hospital}/project", "--view", "basic")
    assert (done.code, done.err) == (0, "")
    source, lfn = done.text.strip().split(" -> ")
    assert source == f"{hospital}/in/1.dcm"
    assert lfn.startswith(f"{hospital}/project/MDM")
    original = (await mdm("get", source, "-")).out
    assert (await mdm("get", lfn, "-")).out == original
    guids = [each["guid"] for each in (await mdm("stat", source, lfn, "--json")).json]
    assert len(set(guids)) == 2


async def test_directories_are_gone_through_with_r_and_a_repetition_finds_what_is_there(mdm, hospital):
    arguments = ("link", "-r", f"{hospital}/in", f"{hospital}/project", "--view", "basic", "--json")
    first, second = await mdm(*arguments), await mdm(*arguments)
    assert first.code == 0, first.err
    assert len(first.json["files"]) == len({each["path"] for each in first.json["files"]}) == 3
    assert first.json == second.json


async def test_a_directory_needs_r_and_the_rest_is_linked_all_the_same(mdm, hospital):
    done = await mdm(
        "link", f"{hospital}/in", f"{hospital}/in/1.dcm", f"{hospital}/project", "--view", "basic"
    )
    assert done.code == 2
    assert done.err.startswith(f"mdm: {hospital}/in: ")
    assert "-r" in done.err
    assert done.text.startswith(f"{hospital}/in/1.dcm -> ")


async def test_names_follow_the_template(mdm, hospital):
    template = "images/{instance}.dcm"
    done = await mdm(
        "link", f"{hospital}/in/1.dcm", f"{hospital}/project", "--view", "basic", "--template", template
    )
    assert f" -> {hospital}/project/images/MDM" in done.text
    bad = await mdm(
        "link", f"{hospital}/in/1.dcm", f"{hospital}/project", "--view", "basic", "--template", "{name}"
    )
    assert bad.code == 2
    assert "fields are" in bad.err


async def test_what_cannot_be_linked_is_told(mdm, hospital):
    none = await mdm("link", "-r", f"{hospital}/none", f"{hospital}/project", "--view", "basic")
    assert none.code == 3
    assert none.err.startswith(f"mdm: {hospital}/none: ")
    nowhere = await mdm("link", f"{hospital}/in/1.dcm", f"{hospital}/nowhere", "--view", "basic")
    assert nowhere.code == 3
    assert "mdm mkdir" in nowhere.err
    assert (
        await mdm("link", f"{hospital}/in/1.dcm", f"{hospital}/project", "--view", "identified")
    ).code == 2
