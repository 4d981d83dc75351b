"""The way back to the page that somebody wanted before signing in at a provider, which always returns to the start.

The gate leaves the wanted address in a cookie of ten minutes; the first look at the start page by somebody who is
signed in goes on from there. The address stays inside this dashboard whatever the cookie says.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, unquote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.server.sign_in import safe_target
from core.server.tile_tokens import COOKIE_NAME

RETURN_COOKIE = "second_read_next"
LIFETIME_S = 600
"""Long enough to type a password and a second factor."""


def return_cookie(target: str) -> str:
    """Return what a page assigns to `document.cookie` so that a sign-in leads on to `target`; "/" forgets it."""
    lifetime = 0 if target == "/" else LIFETIME_S
    return f"{RETURN_COOKIE}={quote(target, safe='')}; path=/; max-age={lifetime}; samesite=lax"


class ReturnTo:
    """Sends somebody who comes back signed in to the page that was wanted. A pure ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect the start page once; pass everything else on."""
        target = wanted_of(scope)
        if target is None:
            await self._app(scope, receive, send)
            return
        response = RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})
        response.delete_cookie(RETURN_COOKIE, path="/", samesite="lax")
        await response(scope, receive, send)


def wanted_of(scope: Scope) -> str | None:
    """Return where a request for the start page goes on to; None for every other one."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
        return None
    try:
        cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return None
    if RETURN_COOKIE not in cookies or not any(name.startswith(COOKIE_NAME) for name in cookies):
        return None
    target = safe_target(unquote(cookies[RETURN_COOKIE].value))
    return None if target == "/" else target
