"""An OpenID Connect provider for tests, on this machine: it knows one person and signs whatever claims it is told to.

Started as `python tests/pages/oidc_provider.py PORT CLAIMS_FILE`; the claims are read anew at every sign-in.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import time
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "second-read", "a-secret-of-the-client"
PORT, CLAIMS = int(sys.argv[1]), Path(sys.argv[2])
ISSUER = f"http://127.0.0.1:{PORT}"
KEY = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
WAITING: dict[str, dict[str, str]] = {}
"""Code -> what was asked with it."""


async def metadata(_request: Request) -> Response:
    return JSONResponse(
        {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def keys(_request: Request) -> Response:
    return JSONResponse({"keys": [KEY.as_dict(private=False)]})


async def authorize(request: Request) -> Response:
    """Sign the one person in without asking, as a provider does whose own session still holds."""
    asked = dict(request.query_params)
    if asked.get("client_id") != CLIENT_ID or asked.get("code_challenge_method") != "S256":
        return PlainTextResponse("unknown client, or no PKCE", status_code=400)
    code = secrets.token_urlsafe()
    WAITING[code] = asked
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)


async def token(request: Request) -> Response:
    form = dict(await request.form())
    asked = WAITING.pop(str(form.get("code")), None)
    expected = "Basic " + b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    if asked is None or request.headers.get("authorization") != expected:
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
    if urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    now = int(time.time())
    own = {"iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked.get("nonce")}
    claims = {**own, **json.loads(CLAIMS.read_text())}
    signed = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, KEY)
    return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": signed})


ROUTES = [
    Route("/.well-known/openid-configuration", metadata),
    Route("/keys", keys),
    Route("/authorize", authorize),
    Route("/token", token, methods=["POST"]),
]

if __name__ == "__main__":
    uvicorn.run(Starlette(routes=ROUTES), host="127.0.0.1", port=PORT, log_level="warning")
