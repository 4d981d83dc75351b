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
from core.roles import Role
from core.server.auth_settings import AuthSettings
from core.server.claims import identity_of
from core.server.identity import clean_name, user_of
from core.server.routes import allowed_hosts, routes
from core.server.secret import cookie_secret
from core.server.sign_in import COOKIE_NAME, login_url, safe_target
from core.services.people import people
from core.services.people.sessions import Standing, visit
from core.settings import Settings

SECRET = "s" * 43
ORIGIN = "http://127.0.0.1:8501"


def get(
    settings: Settings, url: str, *, host: str = "127.0.0.1", headers: dict[str, str] | None = None
) -> httpx.Response:
    """Ask the routes, behind their guard, as somebody at `host`."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts({}))
    app = Starlette(routes=routes(settings, SECRET), middleware=[hosts])

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(host, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.get(url, headers=headers)

    return asyncio.run(ask())


def claims_of(cookie: str) -> dict:
    value = decode_signed_value(SECRET, USER_COOKIE_NAME, cookie)
    assert value is not None, "Streamlit does not accept the signature"
    return json.loads(value)


def test_streamlit_reads_the_cookie_and_the_user_comes_back_out(settings):
    response = get(settings, login_url("Ada  Reader", role=Role.LEAD, target="/case?case=A+1"))
    assert response.status_code == 303
    assert response.headers["location"] == "/case?case=A+1"
    assert COOKIE_NAME == USER_COOKIE_NAME
    claims = claims_of(response.cookies[COOKIE_NAME])
    assert claims["origin"] == ORIGIN
    identity = identity_of(claims, AuthSettings())
    assert identity is not None
    found = visit(settings, identity, hours=12)
    user = user_of(found)
    assert user is not None
    assert (user.name, user.roles, user.actor) == ("Ada Reader", {Role.LEAD}, "Ada Reader (demonstration)")
    assert found.session is not None
    assert found.session.user_agent.startswith("python-httpx")
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
        ("127.0.0.1", {}, "name=system&role=lead", 403),
        ("127.0.0.1", {}, "name=root+(command+line)&role=lead", 403),
        ("::1", {"Sec-Fetch-Site": "same-origin"}, "name=Ada&role=lead", 303),
    ],
)
def test_who_gets_a_cookie(settings, host, headers, query, status):
    response = get(settings, f"/demo/login?{query}", host=host, headers=headers)
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


GOOD = {"is_logged_in": True, "iss": "second-read-demonstration", "sub": "ada", "name": "Ada", "iat": 1e9}


@pytest.mark.parametrize(
    "changes",
    [
        {"is_logged_in": False},
        {"is_logged_in": "yes"},
        {"iss": "https://accounts.example"},
        {"iss": None},
        {"sub": ""},
        {"sub": 7},
        {"iat": None},
        {"iat": "yesterday"},
        {"iat": True},
        {"iat": 1e300},
    ],
)
def test_claims_that_make_nobody_a_user(changes):
    assert identity_of(GOOD, AuthSettings()) is not None
    assert identity_of(GOOD | changes, AuthSettings()) is None


def test_a_cookie_without_the_session_it_was_minted_with_opens_nothing(settings):
    identity = identity_of(GOOD, AuthSettings())
    assert identity is not None
    found = visit(settings, identity, hours=12)
    assert (found.standing, found.person, user_of(found)) == (Standing.EXPIRED, None, None)


def test_whose_access_a_lead_closed_gets_no_cookie(settings):
    get(settings, "/demo/login?name=Eve&role=viewer")
    (eve,) = people.list_people(settings, actor="x (command line)")
    people.set_active(settings, eve.person_id, active=False, actor="x (command line)")
    response = get(settings, "/demo/login?name=Eve&role=lead")
    assert (response.status_code, COOKIE_NAME in response.cookies) == (403, False)
    assert "closed the access" in response.text


def test_where_a_provider_vouches_for_people_nobody_signs_in_by_typing_a_name(settings):
    assert get(settings, "/demo/login?name=Ada&role=lead").status_code == 303
    (settings.home / "auth.toml").write_text(
        '[auth]\nclient_id = "a"\nclient_secret = "b"\nserver_metadata_url = "https://x.example/.well-known"\n'
        'redirect_uri = "https://y.example/oauth2callback"\n'
    )
    assert get(settings, "/demo/login?name=Ada&role=lead").status_code == 404


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


def test_health_says_so_and_other_hosts_are_refused(settings):
    assert get(settings, "/api/health").json()["status"] == "ok"
    assert get(settings, "/api/health", headers={"Host": "evil.example"}).status_code == 400
    assert allowed_hosts({"SECOND_READ_ALLOWED_HOSTS": "lab.example, "}) == ["127.0.0.1", "localhost", "lab.example"]
