"""Secrets that others could read or change are refused, whichever setting names them, by name and with the remedy."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from mdm_async.errors import UnsafeSettings
from mdm_async.private_files import demand_private
from mdm_async.secret_files import demand_private_secret, secret_files
from mdm_async.settings import Settings, load

NOT_SECRET = {
    *("data", "paths.database", "paths.blobs", "paths.secrets", "server.tls_cert"),
    *("identity.ca_directory", "identity.voms_directory", "identity.mapping", "s3.ca_file"),
}
"""Paths in settings that need not be hidden; directories of the server's own are private by another rule."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from paths(field.annotation, f"{name}.")
        elif field.annotation in (Path, Path | None):
            yield above + name


def test_every_path_in_the_settings_is_a_secret_or_known_to_be_none(tmp_path: Path) -> None:
    for place in set(paths(Settings)) - NOT_SECRET:
        section, _, key = place.partition(".")
        file = tmp_path / key
        file.write_text("A" * 43 + "=")
        settings = load(overrides={"data": tmp_path / "none", section: {key: str(file), **_beside(key)}})
        assert secret_files(settings) == [file], place


def _beside(key: str) -> dict[str, str]:
    return {"tls_cert": "chain.pem"} if key == "tls_key" else {}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o640, 0o620, 0o610, 0o666])
def test_a_secret_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "kek").write_text("x")
    (tmp_path / "kek").chmod(mode)
    with pytest.raises(UnsafeSettings, match=f"kek is open to others; chmod 600 {tmp_path}/kek"):
        demand_private(tmp_path / "kek")
    (tmp_path / "kek").chmod(0o600)
    demand_private(tmp_path / "kek")


@as_root
def test_a_secret_of_another_user_is_refused_unless_the_directory_is_theirs_too(tmp_path: Path) -> None:
    settings = load(overrides={"data": tmp_path / "data"})
    secret = tmp_path / "data" / "secrets" / "kek"
    secret.parent.mkdir(parents=True)
    secret.touch(0o600)
    os.chown(secret, 4711, -1)
    with pytest.raises(UnsafeSettings, match=r"kek belongs to 4711, .*; chown root /"):
        demand_private_secret(settings, secret)
    os.chown(tmp_path / "data", 4711, -1)
    demand_private_secret(settings, secret)


@as_root
@pytest.mark.parametrize(
    ("mode", "group", "is_taken"),
    [(0o440, 4712, True), (0o440, 0, True), (0o440, 4713, False), (0o444, 4712, False), (0o460, 4712, False)],
)
def test_what_systemd_and_kubernetes_mount_for_a_service_is_taken(
    tmp_path: Path, mode: int, group: int, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's, readable by a group of the service, which is another user."""
    secret = tmp_path / "kek"
    secret.write_text("x")
    os.chown(secret, 0, group)
    secret.chmod(mode)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "getegid", lambda: 4711)
    monkeypatch.setattr(os, "getgroups", lambda: [4712])
    if is_taken:
        demand_private(secret)
    else:
        with pytest.raises(UnsafeSettings, match="chmod 600"):
            demand_private(secret)


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ('[keys]\nkek = "AAAA"', True),
        ('[database]\ndsn = "postgresql://mdm:word@db/mdm"', True),
        ('[database]\ndsn = "postgresql://mdm@db/mdm?password=word"', True),
        ('[database]\ndsn = "postgresql://mdm@db/mdm"', False),
        ("[server]\nport = 0", False),
    ],
)
def test_a_settings_file_with_a_secret_in_it_is_one(tmp_path: Path, text: str, is_secret: bool) -> None:
    file = tmp_path / "mdm.toml"
    file.write_text(text)
    file.chmod(0o644)
    if is_secret:
        with pytest.raises(UnsafeSettings, match=r"mdm\.toml is open to others; chmod 600 .*_file"):
            load(file)
        file.chmod(0o600)
    load(file)
