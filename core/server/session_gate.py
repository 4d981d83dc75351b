"""Does the sign-in behind a request still hold? Asked for every tile, so an answer is kept for a moment."""

from __future__ import annotations

import time
from collections.abc import Mapping

import anyio.to_thread

from core.roles import Permission
from core.server.auth_settings import read_auth_settings
from core.server.claims import identity_of
from core.server.tile_tokens import COOKIE_NAME, cookie_claims, subject_of
from core.services.people.sessions import holds
from core.settings import Settings

KEEP_S = 2.0
"""How long an answer is kept: the longest that a revoked session still gets tiles."""
_MOST_KEPT = 1024


class SessionGate:
    """Answers who is behind the cookies of a request, for the life of a server process."""

    def __init__(self, settings: Settings, secret: str, *, keep_s: float = KEEP_S) -> None:
        """Start with nothing kept.

        Args:
            settings: Names the log.
            secret: Signs the sign-in cookie.
            keep_s: How long an answer is kept, in seconds.
        """
        self._settings = settings
        self._secret = secret
        self._keep_s = keep_s
        self._auth = read_auth_settings(settings)
        self._kept: dict[str, tuple[float, str | None]] = {}

    async def subject(self, cookies: Mapping[str, str]) -> str | None:
        """Return issuer and subject as tile permissions name them; None if no session holds or it may see no case."""
        # All parts count: the first of several only says how many there are.
        key = "\n".join(value for name, value in cookies.items() if name.startswith(COOKIE_NAME))
        known = self._kept.get(key)
        if known is not None and time.monotonic() - known[0] < self._keep_s:
            return known[1]
        asked_at = time.monotonic()
        found = await anyio.to_thread.run_sync(self._ask, cookies)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (asked_at, found)
        return found

    def _ask(self, cookies: Mapping[str, str]) -> str | None:
        claims = cookie_claims(self._secret, cookies)
        identity = None if claims is None else identity_of(claims, self._auth)
        if claims is None or identity is None:
            return None
        seen = holds(
            self._settings,
            identity.session_id,
            issuer=identity.issuer,
            subject=identity.subject,
            permission=Permission.SEE_CASES,
        )
        return subject_of(claims) if seen else None
