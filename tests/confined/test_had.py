"""What could be had of a kernel is told, and so is that it has nothing."""

import sys
from pathlib import Path

import pytest

from mdm_async.confined import landlock, places, seccomp
from mdm_async.confined.processes import template_of
from mdm_async.confined.template import Had
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.settings import ScrubSettings
from tests.web.test_privacy import captured_log


@pytest.mark.parametrize(
    ("had", "told"),
    [
        (Had(True, 7, True), "own user, Landlock 7, seccomp"),
        (Had(False, 3, False), "Landlock 3"),
        (Had(False, 0, True), "seccomp"),
        (Had(True, 0, False), "own user, and neither Landlock nor seccomp: this kernel has none"),
        (Had(False, 0, False), "neither Landlock nor seccomp: this kernel has none"),
    ],
)
def test_what_was_had_is_told(had: Had, told: str) -> None:
    assert str(had) == told


async def test_the_log_says_how_decoders_are_confined() -> None:
    with Scrubber(ScrubSettings()) as scrubber, captured_log() as log:
        await scrubber.tell()
    assert "decoders are confined by: " in log.getvalue()
    if landlock.abi():
        assert f"Landlock {landlock.abi()}" in log.getvalue()


def test_what_is_withheld_is_not_readable_though_it_lies_in_a_place_that_is(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    for name in ("site/a/data", "site/a/b", "site/c"):
        (folder / name).mkdir(parents=True)
    found = places.apart_from([folder / "site/a/data"], [folder / "site", folder / "site/a/data/x"])
    assert set(found) == {folder / "site/a/b", folder / "site/c"}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filters_are_assembled_for_both_machines_and_jump_within_themselves(machine: str) -> None:
    rules = [seccomp.Rule(name, 1) for name in seccomp._REACHING_OUT + seccomp._WORK]
    rules.append(seccomp.Rule("prlimit64", 1, 0, 0x15, 0, 2))
    code = seccomp.assembled(rules, 3, machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096, "the kernel takes no longer ones"
    for at in range(0, len(code), 8):
        assert at // 8 + max(code[at + 2], code[at + 3]) + 1 <= len(code) // 8
    assert sys.byteorder == "little"


def test_a_package_that_is_on_no_path_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an editable installation is, when the server is started in another folder."""
    above = Path(places.__file__).parents[2]
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry and Path(entry) != above])
    template = template_of(("mdm_async.dicom.scrub",), ())
    try:
        template.had()
    finally:
        template.stop()
