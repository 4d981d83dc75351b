"""The routes the dashboard adds to Streamlit's, and which hosts may reach it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.server.auth_settings import read_auth_settings
from core.server.sign_in import login_route
from core.settings import Settings

HEALTH_PATH = "/api/health"
HOSTS_VARIABLE = "SECOND_READ_ALLOWED_HOSTS"


def code_version() -> str:
    """Version of the installed package, or a word that says it is not installed."""
    try:
        return version("second-read")
    except PackageNotFoundError:
        return "uninstalled checkout"


def routes(settings: Settings, secret: str) -> list[BaseRoute]:
    """Return every route of our own.

    The demonstration sign-in is one of them only where no provider vouches for people.

    Args:
        settings: Names the home folder.
        secret: Signs sign-in cookies.
    """
    own: list[BaseRoute] = [Route(HEALTH_PATH, health, methods=["GET"])]
    return [*own, login_route(settings, secret)] if read_auth_settings(settings).is_demonstration else own


async def health(_request: Request) -> JSONResponse:
    """Say that the server answers, and which version it is. Reveals nothing about cases."""
    return JSONResponse({"status": "ok", "version": code_version()}, headers={"Cache-Control": "no-store"})


def allowed_hosts(environ: Mapping[str, str]) -> list[str]:
    """Return the host names the dashboard answers to: this machine, and what the variable adds after commas.

    Anything else is refused, so that a foreign page cannot reach the dashboard by pointing its own name here.
    """
    extra = [host.strip() for host in environ.get(HOSTS_VARIABLE, "").split(",")]
    return ["127.0.0.1", "localhost", *filter(None, extra)]
