"""Which credential is found, in which order, and which is not trusted."""

import os
from pathlib import Path

import pytest
from yarl import URL

from mdm_async import errors
from mdm_async.client import Client
from mdm_async.client.discovery import DEFAULT_URL, find_local_server, find_token, server_url
from mdm_async.client.local_server import LocalServer

THERE = URL("https://mdm.example.org")


@pytest.fixture
def places(tmp_path):
    """A folder for each place where a token may lie."""
    for name in ("run", "tmp", "data/secrets"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def find(places, **environ):
    environ = {"XDG_RUNTIME_DIR": str(places / "run"), "MDM_DATA": str(places / "data")} | environ
    return find_token(environ, shared_tmp=places / "tmp")


def leave(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_the_order_of_discovery(places):
    uid = os.geteuid()
    assert find(places) is None
    leave(places / "data/secrets/admin.token", "admin")
    assert find(places) is None
    leave(places / f"tmp/bt_u{uid}", "tmp")
    assert find(places) == "tmp"
    leave(places / f"run/bt_u{uid}", "runtime")
    assert find(places) == "runtime"
    named = leave(places / "named", "named")
    assert find(places, BEARER_TOKEN_FILE=str(named)) == "named"
    assert find(places, BEARER_TOKEN_FILE=str(named), BEARER_TOKEN=" given ") == "given"


def test_a_server_on_this_machine_is_found_by_its_directory(places, monkeypatch):
    there = {"MDM_DATA": str(places / "data")}
    assert find_local_server(None, there) == LocalServer(places / "data", was_named=True)
    assert find_local_server(places / "other", there) == LocalServer(places / "other", was_named=True)
    monkeypatch.chdir(places)
    assert find_local_server(None, {}) is None
    (places / "data").rename("mdm-data")
    assert find_local_server(None, {}) == LocalServer(Path("mdm-data"), was_named=False)
    assert find_local_server(None, {"MDM_URL": "https://mdm.example.org"}) is None


def test_a_directory_where_others_could_have_put_a_socket_is_passed_over(places):
    (places / "data").chmod(0o770)
    assert find_local_server(None, {"MDM_DATA": str(places / "data")}) is None
    with pytest.raises(errors.InsecureChannel), LocalServer(places / "data", was_named=True).socket():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_root_takes_anothers_directory_only_if_it_was_named(places, monkeypatch):
    (places / "data").rename(places / "mdm-data")
    os.chown(places / "mdm-data", 12345, 12345)
    monkeypatch.chdir(places)
    assert find_local_server(None, {}) is None
    assert find_local_server(None, {"MDM_DATA": "mdm-data"}) is not None


def test_a_file_that_others_could_have_written_is_passed_over(places):
    token = leave(places / f"tmp/bt_u{os.geteuid()}", "planted")
    token.chmod(0o622)
    assert find(places) is None


def test_a_link_is_not_followed(places):
    target = leave(places / "elsewhere", "planted")
    (places / f"tmp/bt_u{os.geteuid()}").symlink_to(target)
    assert find(places) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_passed_over(places):
    token = leave(places / f"tmp/bt_u{os.geteuid()}", "planted")
    os.chown(token, 12345, 12345)
    assert find(places) is None


def test_a_pipe_in_a_tokens_place_does_not_hang(places):
    os.mkfifo(places / f"tmp/bt_u{os.geteuid()}", 0o600)
    assert find(places) is None


def test_a_named_file_that_cannot_be_used_is_an_error(places):
    with pytest.raises(errors.Unauthenticated):
        find(places, BEARER_TOKEN_FILE=str(places / "nothing"))
    with pytest.raises(errors.Unauthenticated):
        find(places, BEARER_TOKEN_FILE=str(leave(places / "empty", "")))


def test_the_servers_url():
    assert server_url({}) == URL(DEFAULT_URL)
    assert server_url({"MDM_URL": "https://mdm.example.org"}) == THERE
    with pytest.raises(errors.BadRequest):
        server_url({"MDM_URL": "mdm.example.org"})


def test_a_token_is_given_for_a_server_that_somebody_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MDM_URL", "MDM_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.InsecureChannel, match="which nobody named"):
        Client(token="of-somebody")
    Client("http://127.0.0.1:8085", token="of-somebody")
