"""The demonstration sign-in: Streamlit accepts its cookie, and nobody gets one who should not."""

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core.errors import StorageError
from core.server.identity import Role, clean_name, user_from_claims
from core.server.routes import allowed_hosts, routes
from core.server.secret import cookie_secret
from core.server.sign_in import COOKIE_NAME, login_url, safe_target

SECRET = "s" * 43
ORIGIN = "http://127.0.0.1:8501"


def get(url: str, *, host: str = "127.0.0.1", headers: dict[str, str] | None = None) -> httpx.Response:
    """Ask the routes, behind their guard, as somebody at `host`."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts({}))
    app = Starlette(routes=routes(SECRET), middleware=[hosts])

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(host, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.get(url, headers=headers)

    return asyncio.run(ask())


def claims_of(cookie: str) -> dict:
    value = decode_signed_value(SECRET, USER_COOKIE_NAME, cookie)
    assert value is not None, "Streamlit does not accept the signature"
    return json.loads(value)


def test_streamlit_reads_the_cookie_and_the_user_comes_back_out():
    response = get(login_url("Ada  Reader", role=Role.LEAD, target="/case?case=A+1"))
    assert response.status_code == 303
    assert response.headers["location"] == "/case?case=A+1"
    assert COOKIE_NAME == USER_COOKIE_NAME
    claims = claims_of(response.cookies[COOKIE_NAME])
    assert claims["origin"] == ORIGIN
    user = user_from_claims(claims)
    assert user is not None
    assert (user.name, user.role, user.actor) == ("Ada Reader", Role.LEAD, "Ada Reader (demonstration)")
    attributes = response.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=lax" in attributes


@pytest.mark.parametrize(
    ("host", "headers", "query", "status"),
    [
        ("192.168.1.7", {}, "name=Ada&role=lead", 403),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.9"}, "name=Ada&role=lead", 403),
        ("127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, "name=Ada&role=lead", 403),
        ("127.0.0.1", {"Host": "evil.example"}, "name=Ada&role=lead", 400),
        ("127.0.0.1", {}, "name=Ada&role=admin", 400),
        ("127.0.0.1", {}, "name=&role=lead", 400),
        ("127.0.0.1", {}, "name=%00&role=lead", 400),
        ("127.0.0.1", {}, f"name={'x' * 61}&role=lead", 400),
        ("::1", {"Sec-Fetch-Site": "same-origin"}, "name=Ada&role=lead", 303),
    ],
)
def test_who_gets_a_cookie(host, headers, query, status):
    response = get(f"/demo/login?{query}", host=host, headers=headers)
    assert response.status_code == status
    assert (COOKIE_NAME in response.cookies) == (status == 303)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/case?case=A&slide=B", "/case?case=A&slide=B"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("case", "/"),
        ("/a\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_sign_in_never_leads_out_of_the_dashboard(target, expected):
    assert safe_target(target) == expected


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"is_logged_in": False, "iss": "second-read-demonstration", "name": "Ada", "role": "lead"},
        {"is_logged_in": True, "iss": "https://accounts.example", "name": "Ada", "role": "lead"},
        {"is_logged_in": True, "iss": "second-read-demonstration", "name": "Ada", "role": "admin"},
        {"is_logged_in": True, "iss": "second-read-demonstration", "name": "", "role": "lead"},
    ],
)
def test_claims_that_make_nobody_a_user(claims):
    assert user_from_claims(claims) is None


def test_names_are_cleaned():
    assert clean_name("  Ada \t B. ") == "Ada B."
    assert clean_name("\u202eadA") is None


def test_the_secret_is_made_once_and_private(settings):
    first = cookie_secret(settings)
    assert cookie_secret(settings) == first
    path = settings.home / "cookie-secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in settings.home.iterdir()] == ["cookie-secret"]


def test_a_damaged_secret_is_refused_with_a_sentence(settings):
    settings.home.mkdir()
    (settings.home / "cookie-secret").write_text("short")
    with pytest.raises(StorageError, match="damaged"):
        cookie_secret(settings)


def test_a_home_that_is_a_file_is_refused_with_a_sentence(settings):
    settings.home.write_text("not a folder")
    with pytest.raises(StorageError, match="SECOND_READ_HOME"):
        cookie_secret(settings)


def test_health_says_so_and_other_hosts_are_refused():
    assert get("/api/health").json()["status"] == "ok"
    assert get("/api/health", headers={"Host": "evil.example"}).status_code == 400
    assert allowed_hosts({"SECOND_READ_ALLOWED_HOSTS": "lab.example, "}) == ["127.0.0.1", "localhost", "lab.example"]
