"""`mdm profile import`: rules of other programs become a profile file; what it cannot say is listed."""

from tests.dicom.test_profile_import import CTP, DEID


async def test_what_is_imported_can_be_checked(run, tmp_path):
    for text, said in ((CTP, "3 of pixels"), (DEID, "2 of pixels")):
        file, made = tmp_path / "rules", tmp_path / "made.toml"
        file.write_text(text)
        imported = await run("profile", "import", file, "--name", "sono")
        assert imported.code == 0
        made.write_text(imported.text)
        checked = await run("profile", "check", made)
        assert checked.code == 0, checked.err
        assert said in checked.text
        notes = [line for line in imported.text.splitlines() if line.startswith("# not translated, line ")]
        assert len(notes) == len(imported.err.splitlines()) > 5
        as_json = (await run("profile", "import", file, "--name", "sono", "--json")).json
        assert as_json["toml"].rstrip("\n") == imported.text.rstrip("\n")
        assert len(as_json["untranslated"]) == len(notes)


async def test_whose_rules_they_are_may_have_to_be_said(run, tmp_path):
    file = tmp_path / "rules"
    file.write_text("nothing of the kind")
    refused = await run("profile", "import", file)
    assert refused.code != 0
    assert "say which by --from" in refused.err
    assert (await run("profile", "import", file, "--from", "ctp")).code == 0
    assert (await run("profile", "import", file, "--from", "ctp", "--name", "No Name")).code != 0
