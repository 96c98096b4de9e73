"""Where settings come from, which win, which are refused, and what is never shown."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from mdm_async.cli.exit_codes import exit_code
from mdm_async.cli.server.config import as_toml, as_tree
from mdm_async.errors import UnsafeSettings
from mdm_async.loopback import is_loopback
from mdm_async.settings import load, secret_variables

DSN = "postgresql://mdm:very-secret@db.example.org/mdm"
Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("MDM_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def toml(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "mdm.toml"
        path.write_text(text)
        return path

    return write


# Sources


def test_without_sources_the_defaults_are_safe() -> None:
    settings = load()
    assert settings.server.host == "127.0.0.1"
    assert settings.delivery.identified == "sealed"
    assert settings.database.dsn is None
    assert not settings.tls


def test_the_file_beats_the_defaults(toml: Write) -> None:
    settings = load(toml("[server]\nport = 9000\n[transfers]\nmax_bulk = 5\n"))
    assert (settings.server.port, settings.transfers.max_bulk) == (9000, 5)
    assert settings.server.tls_port == 8443


def test_the_environment_beats_the_file(toml: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDM_SERVER__PORT", "9001")
    settings = load(toml("[server]\nport = 9000\ndrain_seconds = 7\n"))
    assert (settings.server.port, settings.server.drain_seconds) == (9001, 7)


def test_the_command_line_beats_the_environment(toml: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDM_SERVER__PORT", "9001")
    monkeypatch.setenv("MDM_SERVER__TLS_PORT", "9003")
    settings = load(toml("[server]\nport = 9000\n"), overrides={"server": {"port": 9002}})
    assert (settings.server.port, settings.server.tls_port) == (9002, 9003)


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDM_SERVER__PUBLIC_URL", "https://mdm.example.org")
    monkeypatch.setenv("MDM_SERVER__TRUSTED_PROXIES", json.dumps(["192.0.2.1", "2001:DB8:0::1"]))
    assert load().server.trusted_proxies == ("192.0.2.1", "2001:db8::1")


def test_behind_a_proxy_the_public_url_must_be_told() -> None:
    assert "server.public_url" in refusal(server={"trusted_proxies": ["192.0.2.1"]})


def test_the_data_directory_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MDM_DATA", str(tmp_path))
    assert load().data == tmp_path


@pytest.mark.parametrize(("section", "name"), [("database", "dsn"), ("keys", "kek")])
def test_a_secret_may_lie_in_a_file(
    section: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("hidden\n")
    variable = f"MDM_{section}__{name}".upper()
    monkeypatch.setenv(f"{variable}_FILE", str(path))
    assert getattr(getattr(load(), section), name).get_secret_value() == "hidden"
    monkeypatch.setenv(variable, "shown")
    with pytest.raises(UnsafeSettings, match="both set"):
        load()
    monkeypatch.delenv(variable)
    path.unlink()
    with pytest.raises(UnsafeSettings, match="cannot be read"):
        load()


def test_a_list_in_the_environment_that_is_no_json_is_told_with_its_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MDM_SERVER__TRUSTED_PROXIES", "192.0.2.1")
    with pytest.raises(UnsafeSettings, match="environment cannot be read") as refused:
        load()
    assert '["192.0.2.1"]' in refused.value.remedy


# What is refused


def refusal(**sections: object) -> str:
    with pytest.raises(UnsafeSettings) as caught:
        load(overrides=sections)
    assert exit_code(caught.value) == 78
    return str(caught.value)


@pytest.mark.parametrize(
    "variable", ["MDM_SERVER__PROT", "MDM_SEVER__PORT", "MDM_KEYS__", "MDM_SERVER__PORT__X"]
)
def test_an_unknown_variable_is_refused_by_name(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "a-secret-perhaps")
    with pytest.raises(UnsafeSettings, match=variable) as caught:
        load()
    assert "a-secret-perhaps" not in str(caught.value)


def test_variables_of_the_client_are_none_of_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDM_URL", "https://mdm.example.org")
    load()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[server]\nprot = 1\n", "server.prot"),
        ("[sever]\nport = 1\n", "sever"),
        ("[server\n", r"mdm.toml cannot be read: .*line 1"),
        ("[server]\nport = 'x'\n", "server.port"),
        ("[server]\nport = 70000\n", "server.port"),
        ("[transfers]\nmax_bulk = 0\n", "transfers.max_bulk"),
        ("[delivery]\nidentified = 'open'\n", "delivery.identified"),
        ("[log]\nlevel = 'loud'\n", "log.level"),
    ],
)
def test_a_file_that_says_something_else_is_refused(toml: Write, text: str, reason: str) -> None:
    with pytest.raises(UnsafeSettings, match=reason):
        load(toml(text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings, match="does not exist"):
        load(tmp_path / "missing.toml")


def test_every_reason_is_told_at_once(toml: Write) -> None:
    with pytest.raises(UnsafeSettings) as caught:
        load(toml("[server]\nport = -1\ntls_port = -1\n"))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mdm.example.org", ""])
def test_clear_transfers_on_an_open_address_need_a_certificate(host: str) -> None:
    assert "unencrypted" in refusal(server={"host": host})
    assert "unencrypted" in refusal(
        server={"host": host}, delivery={"deidentified": "sealed", "identified": "clear"}
    )
    load(overrides={"server": {"host": host}, "delivery": {"deidentified": "sealed"}})
    load(overrides={"server": {"host": host, "tls_cert": "c.pem", "tls_key": "k.pem"}})


def test_clear_transfers_behind_a_plain_public_url_are_refused() -> None:
    plain = {"public_url": "http://mdm.example.org"}
    assert "public_url is plain HTTP" in refusal(server=plain)
    load(overrides={"server": plain, "delivery": {"deidentified": "sealed"}})
    for safe in ("https://mdm.example.org", "http://localhost:8085", "http://[::1]:1"):
        load(overrides={"server": {"public_url": safe}})


@pytest.mark.parametrize("half", [{"tls_cert": "c.pem"}, {"tls_key": "k.pem"}])
def test_a_certificate_needs_its_key(half: dict[str, str]) -> None:
    assert "go together" in refusal(server=half)


@pytest.mark.parametrize(
    "url",
    [
        "mdm.example.org", "ftp://mdm.example.org", "https://", "https://mdm.example.org/path", "https:///x",
        "https://mdm.example.org/?a=b", "https://mdm.example.org#f", "https://user:very-secret@mdm.example.org",
        "https://mdm.example.org:99999", "https://mdm.example.org:x", "https://[", "",
    ],
)  # fmt: skip
def test_the_public_url_is_an_origin(url: str) -> None:
    reason = refusal(server={"public_url": url})
    assert "server.public_url" in reason
    assert "very-secret" not in reason


@pytest.mark.parametrize("peer", ["proxy.example.org", "192.0.2.0/24", "", "*", "192.0.2.1:80"])
def test_a_trusted_proxy_is_an_address(peer: str) -> None:
    assert "server.trusted_proxies" in refusal(server={"trusted_proxies": [peer]})


def test_a_pin_cannot_live_longer_than_the_longest() -> None:
    assert "default_pin" in refusal(transfers={"default_pin": 100, "max_pin": 99})


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"limits": {"held": 100 << 20}}, "limits.held is too small for scrub.max_head"),
        ({"limits": {"held": 16 << 20}}, "limits.held is too small for transfers.max_body"),
        ({"limits": {"share": 0.2}}, "limits.held"),
        ({"limits": {"outstanding": 30_000}}, "limits.outstanding is too small for transfers.max_bulk"),
        ({"scrub": {"max_head": 300 << 20}}, "limits.held is too small for scrub.max_head"),
    ],
)
def test_what_one_request_may_want_is_not_more_than_one_credential_can_have(
    sections: dict[str, dict[str, object]], named: str
) -> None:
    """It would be told to come back, again and again."""
    assert named in refusal(**sections)


# What is not shown


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = load(overrides={"database": {"dsn": DSN}, "keys": {"kek": "very-secret"}})
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.database!r}"):
        assert "very-secret" not in shown
    assert settings.database.dsn is not None
    assert settings.database.dsn.get_secret_value() == DSN


STORES = [
    {"name": "a", "dsn": "postgresql://mdm:very-secret@a/keys", "kek": "another-secret"},
    {"name": "b", "dsn": "postgresql://mdm:very-secret@b/keys", "kek": "another-secret"},
]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MDM_KEYS__STORES", STORES),
        ("mdm_keys__stores", STORES),
        ("MDM_KEYS", {"threshold": 2, "stores": STORES}),
    ],
)
def test_secrets_of_key_stores_given_as_json_are_secrets(
    variable: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDM_KEYS__THRESHOLD", "2")
    monkeypatch.setenv(variable, orjson.dumps(value).decode())
    settings = load()
    assert len(settings.keys.stores) == 2
    shown = "\n".join([repr(settings), orjson.dumps(as_tree(settings)).decode(), *as_toml(settings)])
    assert "secret@" not in shown
    assert "another-secret" not in shown
    assert secret_variables() == {variable}


def test_a_file_with_secrets_of_key_stores_is_a_secret_itself(tmp_path: Path) -> None:
    file = tmp_path / "mdm.toml"
    file.write_text(
        "[keys]\nthreshold = 2\n"
        + "".join(f"[[keys.stores]]\nname = '{one['name']}'\ndsn = '{one['dsn']}'\n" for one in STORES)
    )
    file.chmod(0o644)
    with pytest.raises(UnsafeSettings, match=r"the settings file holds keys\.stores\.dsn: .* chmod 600"):
        load(file)
    file.chmod(0o600)
    assert len(load(file).keys.stores) == 2


@pytest.mark.parametrize("stores", [["very-secret"], [["very-secret"]], [{"dsn": ["very-secret"]}], 5])
def test_stores_of_another_form_are_refused_and_not_shown(
    stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDM_KEYS__STORES", orjson.dumps(stores).decode())
    assert "very-secret" not in refusal()


def test_a_refusal_does_not_show_secrets() -> None:
    reason = refusal(database={"dsn": DSN, "pool": -1}, keys={"kek": ["very-secret"]})
    assert "very-secret" not in reason


def test_settings_do_not_change() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.server.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.data = Path()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("128.0.0.1", False),
        ("", False),
    ],
)
def test_the_loopback_is_told_without_asking_anyone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_example_for_deployment_is_accepted(tmp_path: Path) -> None:
    example = (Path(__file__).parents[1] / "deploy" / "mdm.toml").read_text()
    (tmp_path / "dsn").write_text("postgresql://mdm@db.example.org/mdm")
    (tmp_path / "mdm.toml").write_text(example.replace("/etc/mdm/dsn", str(tmp_path / "dsn")))
    settings = load(tmp_path / "mdm.toml")
    assert settings.tls
    assert settings.database.dsn is not None


def test_devices_that_no_port_listens_to_are_refused() -> None:
    device = {"ae": "CT1", "hosts": ["127.0.0.1"], "directory": "/pacs"}
    with pytest.raises(UnsafeSettings, match=r"set pacs\.port"):
        load(overrides={"pacs": {"calling": [device]}})
    load(overrides={"pacs": {"calling": [device], "port": 11112}})


ARCHIVE = {"name": "hospital", "ae": "ARCHIVE", "host": "127.0.0.1", "port": 4242}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dicomweb": "https://pacs.example.org"}, "one of them"),
        ({"ae": None}, "one of them"),
        ({"ae": "AN ARCHIVE'S TITLE"}, "16"),
        ({"host": ""}, "needs host and port"),
        ({"token": "secret"}, "DIMSE knows none"),
        ({"host": "pacs.example.org"}, "unencrypted"),
        ({"host": "192.0.2.30"}, "unencrypted"),
        ({"certificate": "/etc/mdm/archive.pem"}, "set tls"),
        ({"retrieve": "C-MOVE"}, r"set pacs\.port"),
        ({"retrieve": "C-MOVE", "host": "pacs.example.org", "tls": True}, "moves_from"),
        ({"retrieve": "C-MOVE", "moves_from": ["0.0.0.0/0"]}, "anybody's"),
        ({"ae": None, "dicomweb": "https://pacs.example.org", "retrieve": "C-MOVE"}, "retrieve"),
    ],
)
def test_an_archive_that_speaks_dimse_is_named_wholly_and_safely(changed: dict[str, Any], why: str) -> None:
    load(overrides={"pacs": {"sources": [ARCHIVE]}})
    archive = {key: value for key, value in (ARCHIVE | changed).items() if value is not None}
    with pytest.raises(UnsafeSettings, match=why):
        load(overrides={"pacs": {"sources": [archive]}})


def test_an_archive_may_move_images_to_the_port_that_listens() -> None:
    moving = ARCHIVE | {
        "retrieve": "C-MOVE",
        "host": "pacs.example.org",
        "moves_from": ["192.0.2.30"],
        "tls": True,
    }
    load(overrides={"pacs": {"port": 11112, "sources": [moving]}})


def test_so_many_names_are_compared_in_one_move_at_the_most() -> None:
    assert load(overrides={"naming": {"looked_at": 100_000}}).naming.looked_at == 100_000
    with pytest.raises(UnsafeSettings, match=r"naming\.looked_at"):
        load(overrides={"naming": {"looked_at": 100_001}})
