"""Signed, expiring permission to see one slide: minted by a page after its own check, asked for by every tile.

It travels in the Authorization header, so that addresses stay the same, can be cached, and put nothing secret into
logs. It names the user as well, and the sign-in cookie of the request must be that user's.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer

LIFETIME_S = 900.0
"""How long a token holds; the viewer asks its page for a new one before that, so the page checks again."""
_SALT = "second-read-slide"
COOKIE_NAME = "_streamlit_user"
"""The cookie Streamlit reads `st.user` from."""
_PARTS = re.compile(r"chunks-([0-9]{1,2})")
_COOKIE_AGE_S = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class TileToken:
    """What a token permits."""

    slide_id: str
    user: str
    """From `subject_of`."""
    expires_at: float
    """Unix time in seconds."""
    model: bool
    """Whether the model's result on this slide may be shown: not before the reader's diagnosis is locked."""


class TokenRefusedError(Exception):
    """The token does not permit the request. Its text is the plain reason."""


def grant(slide_id: str, *, user: str, model: bool, lifetime_s: float = LIFETIME_S) -> TileToken:
    """Return a permission that starts now; call it only after the page's own check."""
    return TileToken(slide_id, user, time.time() + lifetime_s, model)


def sign(secret: str, token: TileToken) -> str:
    """Return the text that the viewer sends."""
    content = {"s": token.slide_id, "u": token.user, "e": round(token.expires_at, 3), "m": token.model}
    text = URLSafeSerializer(secret, salt=_SALT).dumps(content)
    return text.decode("ascii") if isinstance(text, bytes) else text


def read(secret: str, text: str) -> TileToken:
    """Check the signature of a token and return what it permits.

    Raises:
        TokenRefusedError: it is missing, altered, or has expired.
    """
    if not text:
        raise TokenRefusedError("This address needs the permission that the slide's page hands out.")
    try:
        content = URLSafeSerializer(secret, salt=_SALT).loads(text)
        token = TileToken(str(content["s"]), str(content["u"]), float(content["e"]), bool(content["m"]))
    except (BadData, KeyError, TypeError, ValueError) as err:
        raise TokenRefusedError("The permission was altered or is not one of this dashboard.") from err
    if token.expires_at < time.time():
        raise TokenRefusedError("The permission has expired; the page hands out a new one.")
    return token


def subject_of(claims: Mapping[str, object]) -> str | None:
    """Return who the sign-in claims name, by issuer and subject, or None if nobody is signed in."""
    if claims.get("is_logged_in") is not True or not claims.get("sub"):
        return None
    return f"{str(claims.get('iss', '')).rstrip('/')}|{claims['sub']}"


def cookie_claims(secret: str, cookies: Mapping[str, str]) -> Mapping[str, object] | None:
    """Return what the sign-in cookie of a request says; None if it is missing or was not signed here.

    The format is Streamlit 1.67's: JSON claims, signed by itsdangerous with the cookie's name as salt. Claims too long
    for one cookie, as of somebody in many groups, come in numbered ones; the first then says how many.
    """
    try:
        text = _signed(secret, cookies, COOKIE_NAME)
        parts = _PARTS.fullmatch(text)
        if parts is not None:
            text = "".join(_signed(secret, cookies, f"{COOKIE_NAME}_{i + 1}") for i in range(int(parts[1])))
        claims: object = json.loads(text)
    except (BadData, TypeError, ValueError):
        return None
    return cast("dict[str, object]", claims) if isinstance(claims, dict) else None


def _signed(secret: str, cookies: Mapping[str, str], name: str) -> str:
    value = cookies.get(name, "").strip('"')
    return str(URLSafeTimedSerializer(secret, salt=name).loads(value, max_age=_COOKIE_AGE_S))
