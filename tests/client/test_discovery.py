"""Which credential is found, in which order, and which is not trusted."""

import os

import pytest
from yarl import URL

from mdm_async import errors
from mdm_async.client.discovery import DEFAULT_URL, find_token, server_url

HERE = URL("http://127.0.0.1:8085")
THERE = URL("https://mdm.example.org")


@pytest.fixture
def places(tmp_path):
    """A folder for each place where a token may lie."""
    for name in ("run", "tmp", "data/secrets"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def find(places, url=HERE, **environ):
    environ = {"XDG_RUNTIME_DIR": str(places / "run"), "MDM_DATA": str(places / "data")} | environ
    return find_token(url, environ, shared_tmp=places / "tmp")


def leave(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_the_order_of_discovery(places):
    uid = os.geteuid()
    assert find(places) is None
    leave(places / "data/secrets/admin.token", "admin")
    assert find(places) == "admin"
    leave(places / f"tmp/bt_u{uid}", "tmp")
    assert find(places) == "tmp"
    leave(places / f"run/bt_u{uid}", "runtime")
    assert find(places) == "runtime"
    named = leave(places / "named", "named")
    assert find(places, BEARER_TOKEN_FILE=str(named)) == "named"
    assert find(places, BEARER_TOKEN_FILE=str(named), BEARER_TOKEN=" given ") == "given"


def test_the_admin_token_is_shown_to_the_loopback_only(places):
    leave(places / "data/secrets/admin.token", "admin")
    assert find(places, THERE) is None
    assert find(places, URL("https://127.0.0.1:8443")) == "admin"


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
