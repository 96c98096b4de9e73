"""`mdm config check` says what a start would, and a start what the check does; `config show` shows every setting."""

import os
import re
import socket
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mdm_async.app import running
from mdm_async.audit.keys import fresh_private
from mdm_async.errors import UnsafeSettings
from mdm_async.keys.files import fresh_kek
from mdm_async.postgres.embedded.system_user import postgres_user
from mdm_async.settings import load
from tests.cli.conftest import Run
from tests.conftest import Server
from tests.postgres.for_tests import PostgresForTests

DEPLOY = Path(__file__).parents[2] / "deploy"
Break = Callable[[Path, dict[str, Any]], None]


@pytest.fixture(autouse=True)
def _no_other_data(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("MDM_DATA")


def good(folder: Path, *, until: datetime | None = None) -> dict[str, Any]:
    """A folder with all that settings can name, and settings that name it."""
    certificate = trustme.CA().issue_cert("localhost", not_after=until)
    chain = certificate.cert_chain_pems[0]
    chain.write_to_path(folder / "chain.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "key.pem").chmod(0o600)
    (folder / "ca").mkdir()
    (folder / "ca" / "12345678.0").write_text("")
    (folder / "vo").mkdir()
    (folder / "groups.toml").write_text('[groups]\nteam = ["user:ada"]\n')
    (folder / "audit.key").write_text(fresh_private())
    (folder / "audit.key").chmod(0o600)
    (folder / "kek").write_text("A" * 43 + "=")
    (folder / "kek").chmod(0o600)
    return {
        "data": str(folder / "data"),
        "server": {
            "port": 0,
            "tls_port": 0,
            "tls_cert": str(folder / "chain.pem"),
            "tls_key": str(folder / "key.pem"),
        },
        "keys": {"kek_file": str(folder / "kek")},
        "identity": {
            "ca_directory": str(folder / "ca"),
            "voms_directory": str(folder / "vo"),
            "mapping": str(folder / "groups.toml"),
            "issuers": [{"url": "https://issuer.example.org", "audience": ["me"]}],
        },
        "audit": {"key_file": str(folder / "audit.key"), "seals": str(folder / "seals.jsonl")},
    }


def written(folder: Path, settings: dict[str, Any]) -> Path:
    lines = [f'data = "{settings["data"]}"']
    issuers = settings["identity"]["issuers"]
    for name, section in settings.items():
        if isinstance(section, dict):
            lines += [f"[{name}]", *(f"{key} = {_toml(v)}" for key, v in section.items() if key != "issuers")]
    for issuer in issuers:
        lines += ["[[identity.issuers]]", *(f"{key} = {_toml(value)}" for key, value in issuer.items())]
    (folder / "mdm.toml").write_text("\n".join(lines))
    (folder / "mdm.toml").chmod(0o600)
    return folder / "mdm.toml"


def _toml(value: Any) -> str:
    return repr(value).replace("'", '"')


async def test_what_is_in_order_passes_and_nothing_is_made(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path, good(tmp_path))
    ended = await run("config", "check", "--config", file, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == {"ok": True}
    assert not (tmp_path / "data").exists()


def _another_key(folder: Path, settings: dict[str, Any]) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(folder / "key.pem")


def _no_chain(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "chain.pem").unlink()


def _no_key_in_it(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "key.pem").write_text("no key")


def _open_secrets(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "data" / "secrets").mkdir(parents=True)
    (folder / "data" / "secrets").chmod(0o755)


def _open_token(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "data" / "secrets").mkdir(parents=True, mode=0o700)
    (folder / "data" / "secrets" / "admin.token").write_text("x")
    (folder / "data" / "secrets" / "admin.token").chmod(0o644)


def _short_kek(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "kek").write_text("c2hvcnQ=")


def _raw_kek(folder: Path, settings: dict[str, Any]) -> None:
    """As `openssl rand 32` makes it."""
    (folder / "kek").write_bytes(b"\x85" * 32)


def _raw_own_kek(folder: Path, settings: dict[str, Any]) -> None:
    del settings["keys"]["kek_file"]
    (folder / "data" / "secrets").mkdir(parents=True, mode=0o700)
    (folder / "data" / "secrets" / "kek").write_bytes(b"\x85" * 32)
    (folder / "data" / "secrets" / "kek").chmod(0o600)


def _raw_audit_key(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "audit.key").write_bytes(b"\x85" * 32)


def _broken_mapping(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "groups.toml").write_text("[groups")


def _issuer_without_tls(folder: Path, settings: dict[str, Any]) -> None:
    settings["identity"]["issuers"][0]["url"] = "http://issuer.example.org"


def _no_authorities(folder: Path, settings: dict[str, Any]) -> None:
    settings["identity"]["ca_directory"] = str(folder / "none")


def _no_vos(folder: Path, settings: dict[str, Any]) -> None:
    settings["identity"]["voms_directory"] = str(folder / "none")


def _open_audit_key(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "audit.key").chmod(0o644)


def _open_kek(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "kek").chmod(0o666)


def _open_tls_key(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "key.pem").chmod(0o640)


def _open_secrets_apart(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "apart").mkdir(mode=0o700)
    (folder / "apart" / "left-over.key").write_text("x")
    (folder / "apart" / "left-over.key").chmod(0o620)
    settings["paths"] = {"secrets": str(folder / "apart")}


def _no_audit_key(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "audit.key").write_text("no key")


def _no_syslog(folder: Path, settings: dict[str, Any]) -> None:
    settings["audit"]["seals"] = "syslog:nowhere"


def _file_for_a_folder(folder: Path, settings: dict[str, Any]) -> None:
    settings["data"] = str(folder / "mdm.toml" / "data")


def _older_postgres(folder: Path, settings: dict[str, Any]) -> None:
    user = postgres_user()
    (folder / "data" / "postgres").mkdir(parents=True)
    os.chown(folder / "data" / "postgres", user.uid, user.gid)
    (folder / "data" / "postgres" / "PG_VERSION").write_text("14\n")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (_older_postgres, "is of PostgreSQL 14, .*; run the mdm that brings PostgreSQL 14"),
        (
            _another_key,
            "certificate cannot be used: .*key.pem is the key of another one; check server.tls_cert and server.tls_key",
        ),
        (_no_chain, "certificate cannot be used: .*chain.pem: No such file"),
        (_no_key_in_it, "certificate cannot be used: [A-Za-z ,_]+; check"),
        (_open_secrets, "open to others; chmod 700"),
        (_open_token, "admin.token is open to others; chmod 600"),
        (_short_kek, "is not 32 bytes in base64; restore"),
        (_raw_kek, r"kek_file .*kek is not text; restore"),
        (_raw_own_kek, "kek is not text; restore"),
        (_raw_audit_key, "audit.key is not text"),
        (_broken_mapping, "mapping file .* is not TOML"),
        (_issuer_without_tls, "identity.issuers"),
        (_no_authorities, "authorities cannot be read.*; check identity.ca_directory"),
        (_no_vos, "authorities cannot be read.*; check .* identity.voms_directory"),
        (_open_kek, "kek is open to others; chmod 600 /"),
        (_open_tls_key, "key.pem is open to others; chmod 600 /"),
        (_open_secrets_apart, "left-over.key is open to others; chmod 600 /"),
        (_open_audit_key, "open to others; chmod 600"),
        (_no_audit_key, "not an Ed25519 private key; make one with `mdm audit keygen`"),
        (_no_syslog, "names no syslog; write syslog:"),
        (_file_for_a_folder, "no folder that you may write to; choose"),
    ],
)
async def test_what_is_wrong_is_told_with_the_remedy_by_the_check_and_by_a_start(
    run: Run, tmp_path: Path, wrong: Break, told: str
) -> None:
    settings = good(tmp_path)
    wrong(tmp_path, settings)
    file = written(tmp_path, settings)
    ended = await run("config", "check", "--config", file)
    assert (ended.code, ended.out) == (78, b"")
    (line,) = ended.err.splitlines()
    assert re.search(told, line), line
    with pytest.raises(UnsafeSettings) as refused:
        async with running(load(file)):
            pass
    assert f"mdm: {refused.value}" == line
    assert not (tmp_path / "data" / ".mdm.lock").exists()


def _threshold(number: int) -> Callable[[Path], None]:
    def written_down(folder: Path) -> None:
        file = folder / "mdm.toml"
        file.write_text(file.read_text().replace("threshold = 2", f"threshold = {number}"))

    return written_down


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "b.kek").chmod(0o644), r"b\.kek is open to others; chmod 600"),
        (lambda folder: (folder / "b.dsn").chmod(0o644), r"b\.dsn is open to others; chmod 600"),
        (
            lambda folder: (folder / "b.kek").unlink(),
            r"keys\.stores, entry 2: kek_file .*b\.kek cannot be read: No such file .*; restore that file",
        ),
        (
            lambda folder: (folder / "b.dsn").unlink(),
            r"keys\.stores, entry 2: dsn_file .*b\.dsn cannot be read: No such",
        ),
        (
            lambda folder: (folder / "b.kek").write_text("c2hvcnQ="),
            r"b\.kek is not 32 bytes in base64; restore it",
        ),
        (
            lambda folder: (folder / "b.kek").write_bytes(b"\xff" * 32),
            r"b\.kek is not text; restore that file",
        ),
        (
            lambda folder: (folder / "b.dsn").write_bytes(b"\xff" * 32),
            r"keys\.stores, entry 2: dsn_file .*b\.dsn is not text; restore that file",
        ),
        (lambda folder: (folder / "b.kek").write_text(""), r"b\.kek holds no key-encryption key; restore it"),
        (
            lambda folder: [
                (folder / f"{name}.dsn").write_text("postgresql://x:word@127.0.0.1:1/x") for name in "bc"
            ],
            r"key store b lets nobody in \(\w+\); check its dsn, and that it runs",
        ),
        (
            lambda folder: (folder / "b.dsn").write_text(
                (folder / "a.dsn").read_text() + "&application_name=y"
            ),
            "the databases of key stores a and b are the same, or one is a copy of the other; give every store",
        ),
        (
            lambda folder: (folder / "b.kek").write_text((folder / "a.kek").read_text()),
            "key stores a and b have a key-encryption key in common; give every store one of its own",
        ),
        (_threshold(4), r"threshold must be from 2 to 3, the number of keys\.stores"),
        (_threshold(1), r"keys\.threshold: must be at least 2"),
    ],
)
async def test_what_is_wrong_with_a_key_store_is_told(
    run: Run, tmp_path: Path, postgres: PostgresForTests, change: Callable[[Path], None], told: str
) -> None:
    lines = [f'data = "{tmp_path}/data"', "[keys]", "threshold = 2"]
    for name in "abc":
        for kind, text in (("kek", fresh_kek()), ("dsn", await postgres.fresh_database())):
            (tmp_path / f"{name}.{kind}").write_text(text)
            (tmp_path / f"{name}.{kind}").chmod(0o600)
        lines += ["[[keys.stores]]", f'name = "{name}"']
        lines += [f'{kind}_file = "{tmp_path}/{name}.{kind}"' for kind in ("kek", "dsn")]
    lines += ["[server]", "port = 0"]
    (tmp_path / "mdm.toml").write_text("\n".join(lines))
    assert (await run("config", "check", "--config", tmp_path / "mdm.toml")).err == ""
    change(tmp_path)
    ended = await run("config", "check", "--config", tmp_path / "mdm.toml")
    assert ended.code == 78
    assert re.search(told, ended.err), ended.err
    assert "word" not in ended.err


async def test_all_that_is_wrong_is_told_at_once(run: Run, tmp_path: Path) -> None:
    settings = good(tmp_path)
    for wrong in (_another_key, _broken_mapping, _no_syslog):
        wrong(tmp_path, settings)
    ended = await run("config", "check", "--config", written(tmp_path, settings), "--json")
    assert len(ended.err.splitlines()) == 3
    assert ended.json["error"]["exit"] == 78


async def test_a_port_that_another_has_is_told_and_a_servers_own_is_not(
    run: Run, server: Server, tmp_path: Path
) -> None:
    settings = good(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings["server"]["port"] = other.getsockname()[1]
        ended = await run("config", "check", "--config", written(tmp_path, settings))
        assert ended.code == 78
        assert re.search("cannot listen on .*; choose another --port", ended.err)
    settings |= {"data": str(server.data), "server": settings["server"] | {"port": server.house.port}}
    settings["keys"] = {}
    assert (await run("config", "check", "--config", written(tmp_path, settings))).code == 0


async def test_a_database_that_does_not_answer_is_told_without_its_password(
    run: Run, tmp_path: Path, unused_tcp_port: int
) -> None:
    settings = good(tmp_path)
    settings["database"] = {"dsn": f"postgresql://mdm:very-secret@127.0.0.1:{unused_tcp_port}/mdm"}
    ended = await run("config", "check", "--config", written(tmp_path, settings))
    assert ended.code == 78
    assert "database is away" in ended.err
    assert "very-secret" not in ended.err


async def test_keys_that_do_not_open_the_database_are_told(run: Run, tmp_path: Path, server: Server) -> None:
    settings = good(tmp_path)
    settings["database"] = {"dsn": server.dsn}
    used, other = (server.data / "secrets" / "kek").read_text().strip(), (tmp_path / "kek").read_text()
    for keks, code in ((other, 78), (used, 0), (f"{other}\n{used}", 0)):
        (tmp_path / "kek").write_text(keks)
        ended = await run("config", "check", "--config", written(tmp_path, settings))
        assert ended.code == code, ended.err
        assert ("no key-encryption key given opens what this database holds" in ended.err) is (code == 78)


@pytest.mark.parametrize(("days", "told"), [(-1, "has expired"), (3, "within 14 days")])
async def test_a_certificate_that_ends_is_warned_of(run: Run, tmp_path: Path, days: int, told: str) -> None:
    settings = good(tmp_path, until=datetime.now(UTC) + timedelta(days=days))
    ended = await run("config", "check", "--config", written(tmp_path, settings), "--json")
    assert ended.code == 0
    assert told in ended.err
    assert told in ended.json["warnings"][0]


async def test_show_works_with_every_setting_set_and_hides_secrets(run: Run, tmp_path: Path) -> None:
    text = (DEPLOY / "mdm.toml").read_text()
    (tmp_path / "dsn").write_text("postgresql://mdm:very-secret@db/mdm")
    (tmp_path / "mdm.toml").write_text(text.replace("/etc/mdm/dsn", str(tmp_path / "dsn")))
    shown = await run("config", "show", "--config", tmp_path / "mdm.toml")
    assert shown.code == 0, shown.err
    assert "very-secret" not in shown.text
    assert tomllib.loads(shown.text)["identity"]["issuers"][0]["url"] == "https://issuer.example.org/"
    (tmp_path / "again.toml").write_bytes(shown.out)
    assert (await run("config", "show", "--config", tmp_path / "again.toml")).out == shown.out
    tree = (await run("config", "show", "--config", tmp_path / "mdm.toml", "--json")).json
    assert tree["identity"]["issuers"][0]["path"] == "/"
    assert tree["database"]["dsn"] == "********"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("[pacs]\ncolour = 1", "pacs.colour: there is no such setting; `mdm config show` lists"),
        ("[server]\nprot = 1", "server.prot: there is no such setting; is it 'port'?"),
        ("[server]\nport = 99999", "server.port: must be at most 65535"),
        ('[pacs]\nport = "dicom"', "pacs.port: must be a whole number"),
        ('[cache]\nquota = "10GB"', "cache.quota: must be a whole number of bytes: 10_000_000_000 are 10 GB"),
        (
            "[server]\nport = 11112\n[pacs]\nport = 11112",
            "settings: server.port and pacs.port are both 11112",
        ),
        (
            '[[pacs.sources]]\nname = "a"\ndicomweb = "https://a.example.org"\n' * 2,
            "pacs.sources: 2 archives have the name 'a'; give each its own",
        ),
        (
            '[pacs]\nport = 1\n[[pacs.calling]]\nae = "CT"\nhosts = "10.0.0.1"\ndirectory = "/p"',
            'pacs.calling, entry 1: hosts: must be a list; write ["…"]',
        ),
        (
            '[pacs]\nport = 1\n[[pacs.calling]]\nae = "CT"\nhosts = ["10.0.0.300"]\ndirectory = "/p"',
            "pacs.calling, entry 1: hosts: '10.0.0.300' is no address, and no network",
        ),
        (
            '[[pacs.sources]]\nname = "a"\ndicomwed = "https://a.example.org"',
            "pacs.sources, entry 1: dicomwed: there is no such setting; is it 'dicomweb'?",
        ),
        (
            '[[pacs.sources]]\nname = "a"\ndicomweb = "https://a.example.org:99999"',
            "pacs.sources, entry 1: dicomweb: its port is no number from 1 to 65535",
        ),
        (
            '[[pacs.sources]]\nname = "a"\nae = "A"\nhost = "a.example.org:104"\ntls = true',
            "pacs.sources, entry 1: host: 'a.example.org:104' is no host",
        ),
        (
            '[[pacs.sources]]\nname = "a"\ndicomweb = "https://a.example.org"\nhours = "6-18"',
            "pacs.sources, entry 1: '6-18' are no hours of a day: write 18:00-06:00",
        ),
        (
            '[[pacs.sources]]\nname = "a"\ndicomweb = "https://a.example.org"\nhours = "18:00-06:00"\n'
            'time_zone = "Europe/Nowhere"',
            "pacs.sources, entry 1: time_zone 'Europe/Nowhere' is not known here: write its name as Europe/Berlin",
        ),
    ],
)
async def test_what_is_wrong_is_told_by_the_settings_name_and_with_what_to_write(
    run: Run, tmp_path: Path, lines: str, told: str
) -> None:
    file = tmp_path / "mdm.toml"
    file.write_text(f'data = "{tmp_path / "data"}"\n{lines}\n')
    ended = await run("config", "check", "--config", file)
    assert ended.code == 78
    assert f"mdm: {told}" in ended.err


async def test_a_port_for_devices_of_which_none_is_named_is_warned_of(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mdm.toml"
    file.write_text(f'data = "{tmp_path / "data"}"\n[pacs]\nport = 0\n')
    ended = await run("config", "check", "--config", file)
    assert ended.code == 0, ended.err
    assert "warning: pacs.port: whoever calls there is refused" in ended.err


async def test_a_quota_that_holds_few_images_is_warned_of(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mdm.toml"
    file.write_text(f'data = "{tmp_path / "data"}"\n[cache]\nquota = 10\n')
    ended = await run("config", "check", "--config", file)
    assert ended.code == 0, ended.err
    assert "warning: cache.quota: 10 bytes hold few images" in ended.err


async def test_the_data_of_a_server_is_named_as_serve_has_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    ended = await run("config", "check", "--data", tmp_path / "data")
    assert ended.code == 78
    assert f"{tmp_path / 'data'} cannot be used" in ended.err
    shown = await run("config", "show", "--data", tmp_path / "data", "--json")
    assert shown.json["data"] == str(tmp_path / "data")


async def test_a_view_of_a_device_that_no_profile_makes_is_warned_of(
    run: Run, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "mdm.toml"
    calling = 'hosts = ["127.0.0.1"]\ndirectory = "/p"\nprincipal = "user:r"\n'
    file.write_text(
        f'data = "{server.data}"\n[server]\nport = {server.house.port}\n[pacs]\nport = 0\n'
        f'[[pacs.calling]]\nae = "WS1"\nview = "reserch"\n{calling}'
        f'[[pacs.calling]]\nae = "WS2"\nview = "basic"\n{calling}'
    )
    ended = await run("config", "check", "--config", file)
    assert ended.code == 0, ended.err
    assert "pacs.calling of WS1: no profile makes the view 'reserch'" in ended.err
    assert "WS2" not in ended.err


async def test_without_a_server_its_database_is_asked_which_views_there_are(
    run: Run, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    file, dsn = tmp_path / "mdm.toml", await postgres.fresh_database(migrated)
    calling = 'hosts = ["127.0.0.1"]\ndirectory = "/p"\nprincipal = "user:r"\n'
    file.write_text(
        f'data = "{tmp_path / "data"}"\n[database]\ndsn = "{dsn}"\n[pacs]\nport = 0\n'
        f'[[pacs.calling]]\nae = "WS1"\nview = "reserch"\n{calling}'
    )
    ended = await run("config", "check", "--config", file)
    assert "pacs.calling of WS1: no profile makes the view 'reserch'" in ended.err


async def test_the_example_names_a_device_and_an_archive(run: Run, tmp_path: Path) -> None:
    text = (DEPLOY / "mdm.toml").read_text()
    (tmp_path / "dsn").write_text("postgresql://db/mdm")
    (tmp_path / "mdm.toml").write_text(text.replace("/etc/mdm/dsn", str(tmp_path / "dsn")))
    pacs = load(tmp_path / "mdm.toml").pacs
    assert (pacs.calling[0].ae, pacs.sources[0].name) == ("CT1", "hospital")
