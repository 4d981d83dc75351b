"""`second-read serve`: the dashboard."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import click

from core.commands.options import home_option, settings_for
from core.errors import InputError
from core.server.secret import cookie_secret
from core.settings import HOME_VARIABLE, Settings

port_option = click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port of the dashboard."
)
address_option = click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Anything but a loopback address makes the dashboard reachable from outside.",
)


@click.command("serve")
@port_option
@address_option
@home_option
def command(*, port: int, address: str, home: Path | None) -> None:
    """Serve the dashboard and its worker until stopped with Ctrl+C."""
    serve(settings_for(home), port=port, address=address)


def serve(settings: Settings, *, port: int, address: str) -> None:
    """Become the dashboard process.

    Raises:
        InputError: the port is taken, or the application file is missing from the installation.
        StorageError: the home folder cannot be written.
    """
    app = importlib.util.find_spec("app")
    if app is None or app.origin is None:
        raise InputError("app.py is missing from the installation. Install Second Read again.")
    _check_port(address, port)
    cookie_secret(settings)  # made here, so that a home that cannot be written is a sentence, not a page that fails
    click.echo(f"Second Read: http://{address}:{port}   (Ctrl+C stops it; data in {settings.home})", err=True)
    os.environ[HOME_VARIABLE] = str(settings.home)
    command_line = [
        *(sys.executable, "-m", "streamlit", "run", app.origin),
        *("--server.address", address, "--server.port", str(port), "--server.headless", "true"),
        *("--browser.gatherUsageStats", "false", "--server.maxUploadSize", str(settings.upload_limit_mib)),
        *("--runner.fastReruns", "false"),
    ]
    if sys.platform == "win32":
        import subprocess

        # exec on Windows detaches from the console: stay in front of a child instead.
        sys.exit(subprocess.run(command_line, check=False).returncode)  # noqa: S603  (our own interpreter)
    os.execv(sys.executable, command_line)  # noqa: S606  (our own interpreter, no shell)


def _check_port(address: str, port: int) -> None:
    """Say that the port is taken before anything is prepared, not afterwards in a stack trace."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as err:
            raise InputError(
                f"{address}:{port} cannot be used ({err.strerror}). Stop the program there or choose another --port."
            ) from err
