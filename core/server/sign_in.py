"""Demonstration sign-in: mints the cookie that Streamlit's own sign-in would mint, for a name that nobody checked.

The dashboard then has one code path: pages read `st.user`, whoever vouched for it. The route answers this machine
only, so that a demonstration never becomes the sign-in of a department.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from anyio import to_thread
from itsdangerous import URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from core.errors import SecondReadError
from core.roles import Role
from core.server.auth_settings import SESSION_HOURS
from core.server.claims import session_id_of
from core.server.tile_tokens import COOKIE_NAME
from core.services.people.person_names import DEMONSTRATION_ISSUER, clean_name
from core.services.people.sessions import open_demonstration
from core.settings import Settings
from core.store.people import name_key

LOGIN_PATH = "/demo/login"
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


def login_url(name: str, *, role: Role, target: str) -> str:
    """Return the address that signs `name` in and goes on to `target`, a path of this dashboard."""
    return f"{LOGIN_PATH}?{urlencode({'name': name, 'role': role.value, 'next': target})}"


def demonstration_claims(settings: Settings, name: str, *, role: Role, user_agent: str = "") -> dict[str, object]:
    """Let somebody in under a name that nobody checks, and return the claims that say so.

    Raises:
        InputError: the name cannot stand in the log.
        NotAllowedError: a lead closed this person's access.
    """
    claims: dict[str, object] = {
        "is_logged_in": True,
        "iss": DEMONSTRATION_ISSUER,
        "sub": name_key(name),
        "name": name,
        "iat": int(time.time()),
        "nonce": secrets.token_urlsafe(16),
    }
    session_id = session_id_of(claims)
    open_demonstration(settings, name, role=role, session_id=session_id, hours=SESSION_HOURS, user_agent=user_agent)
    return claims


def sign_in_cookie(secret: str, claims: Mapping[str, object], *, origin: str) -> str:
    """Return the signed cookie value.

    The format is Streamlit 1.67's: JSON claims, signed by itsdangerous with the cookie's name as salt.

    Args:
        secret: The signing secret of this home.
        claims: Who signed in; see `demonstration_claims`.
        origin: scheme://host[:port] as the browser shows it; Streamlit accepts the cookie from there only.
    """
    content = json.dumps({**claims, "origin": origin})
    value = URLSafeTimedSerializer(secret, salt=COOKIE_NAME).dumps(content)
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


def login_route(settings: Settings, secret: str) -> Route:
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
        agent = request.headers.get("user-agent", "")
        try:
            claims = await to_thread.run_sync(
                lambda: demonstration_claims(settings, name, role=Role(role), user_agent=agent)
            )
        except SecondReadError as err:
            return PlainTextResponse(str(err), status_code=403, headers={"Cache-Control": "no-store"})
        response = RedirectResponse(safe_target(request.query_params.get("next", "/")), status_code=303)
        response.set_cookie(
            COOKIE_NAME,
            sign_in_cookie(secret, claims, origin=f"{request.url.scheme}://{request.headers['host']}"),
            max_age=int(SESSION_HOURS * 3600),
            httponly=True,
            samesite="lax",
            path="/",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    return Route(LOGIN_PATH, login, methods=["GET"])
