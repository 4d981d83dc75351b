"""Demonstration sign-in: mints the cookie that Streamlit's own sign-in would mint, for a name that nobody checked.

The dashboard then has one code path: pages read `st.user`, whoever vouched for it. The route answers this machine
only, so that a demonstration never becomes the sign-in of a department.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from itsdangerous import URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from core.server.identity import DEMONSTRATION_ISSUER, Role, clean_name

LOGIN_PATH = "/demo/login"
COOKIE_NAME = "_streamlit_user"
"""The cookie Streamlit reads `st.user` from."""
COOKIE_HOURS = 12
"""A working day; then the name is asked for again."""
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


def login_url(name: str, *, role: Role, target: str) -> str:
    """Return the address that signs `name` in and goes on to `target`, a path of this dashboard."""
    return f"{LOGIN_PATH}?{urlencode({'name': name, 'role': role.value, 'next': target})}"


def sign_in_cookie(secret: str, *, name: str, role: Role, origin: str) -> str:
    """Return the signed cookie value.

    The format is Streamlit 1.67's: JSON claims, signed by itsdangerous with the cookie's name as salt.

    Args:
        secret: The signing secret of this home.
        name: Cleaned name.
        role: What the person may do.
        origin: scheme://host[:port] as the browser shows it; Streamlit accepts the cookie from there only.
    """
    claims = {
        "is_logged_in": True,
        "origin": origin,
        "iss": DEMONSTRATION_ISSUER,
        "sub": name.casefold(),
        "name": name,
        "role": role.value,
    }
    value = URLSafeTimedSerializer(secret, salt=COOKIE_NAME).dumps(json.dumps(claims))
    return value.decode("ascii") if isinstance(value, bytes) else value


def safe_target(target: str) -> str:
    """Return a path of this dashboard: anything that leads elsewhere becomes the start page."""
    parts = urlsplit(target)
    elsewhere = parts.scheme or parts.netloc or not target.startswith("/") or target.startswith(("//", "/\\"))
    return "/" if elsewhere or not target.isprintable() else target


def is_this_machine(host: str | None, *, headers: Mapping[str, str]) -> bool:
    """Tell whether a request comes straight from this machine, through no proxy that others may use."""
    if host is None or any(name in headers for name in _PROXY_HEADERS):
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def login_route(secret: str) -> Route:
    """Return the route that signs a named person in and redirects to where they wanted to go."""

    async def login(request: Request) -> Response:
        """Answer `/demo/login?name=&role=&next=`."""
        if not is_this_machine(request.client.host if request.client else None, headers=request.headers):
            return PlainTextResponse("Demonstration sign-in works on this machine only.", status_code=403)
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("Sign in from the dashboard itself, not from another page.", status_code=403)
        name, role = clean_name(request.query_params.get("name", "")), request.query_params.get("role", "")
        if name is None or role not in {known.value for known in Role}:
            return PlainTextResponse("Sign-in needs a name and one of the offered roles.", status_code=400)
        response = RedirectResponse(safe_target(request.query_params.get("next", "/")), status_code=303)
        response.set_cookie(
            COOKIE_NAME,
            sign_in_cookie(
                secret, name=name, role=Role(role), origin=f"{request.url.scheme}://{request.headers['host']}"
            ),
            max_age=COOKIE_HOURS * 3600,
            httponly=True,
            samesite="lax",
            path="/",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    return Route(LOGIN_PATH, login, methods=["GET"])
