"""`mdm serve`: the server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import complete
from mdm_async.own_process import close_to_others
from mdm_async.settings import load, processes_of, secret_variables


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    data: Annotated[
        Path | None, typer.Option(help="Folder of secrets, ciphertext and embedded Postgres.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Plain HTTP port; 0 picks a free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key.")] = None,
    tls_port: Annotated[int | None, typer.Option(help="HTTPS port.")] = None,
    public_url: Annotated[str | None, typer.Option(help="URL that transfer URLs begin with.")] = None,
    processes: Annotated[
        str | None, typer.Option(metavar="N|auto", help="Processes that serve together; auto: one a core.")
    ] = None,
) -> None:
    """Serve images until SIGTERM; prints one line with the URL when ready.

    Example: `mdm serve --data /srv/mdm --tls-cert host.pem --tls-key host.key --host 0.0.0.0`
    """
    server = {
        "host": host,
        "port": port,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "tls_port": tls_port,
        "public_url": public_url,
        "processes": processes,
    }
    settings = load(config, overrides=overrides(data, server))
    close_to_others(secret_variables())
    # Here, for only this command needs the server's rooms, which take half a second to load.
    if (count := processes_of(settings)) > 1:
        from mdm_async.processes.supervisor import serve as supervise

        complete(supervise(settings, count))
    else:
        from mdm_async.app import serve as run_server

        complete(run_server(settings))


def overrides(data: Path | None, server: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as the tree that settings are."""
    tree: dict[str, Any] = {} if data is None else {"data": data}
    given = {name: value for name, value in server.items() if value is not None}
    return tree | ({"server": given} if given else {})
