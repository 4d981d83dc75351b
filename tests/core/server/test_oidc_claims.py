"""Claims of a provider become an identity, its roles and its session; settings that cannot work say so."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import pytest
from people_kit import CLERK, enrol
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from core.errors import InputError
from core.roles import Role
from core.server.auth_settings import AuthSettings, issuer_of, read_auth_settings
from core.server.claims import identity_of, mapped_roles, session_id_of
from core.server.session_gate import SessionGate
from core.server.tile_tokens import COOKIE_NAME, cookie_claims
from core.services.people import people, sessions
from core.services.people.person_names import DEMONSTRATION_ISSUER
from core.services.people.sessions import visit
from core.settings import Settings

SECRET = "s" * 43
ISSUER = "https://sso.example/realms/path"
AUTH = AuthSettings(
    providers=("default",),
    roles_claim="realm_access.roles",
    role_of={"path-readers": frozenset({Role.PATHOLOGIST, Role.CONSULTANT}), "path-leads": frozenset({Role.LEAD})},
)
CLAIMS: dict[str, object] = {
    "is_logged_in": True,
    "iss": ISSUER,
    "sub": "f:1:ada",
    "iat": 1_900_000_000,
    "nonce": "n1",
    "name": "Ada Lovelace",
    "preferred_username": "ada",
    "email": "Ada@X.org",
    "email_verified": True,
    "realm_access": {"roles": ["path-readers", "offline_access", 7]},
}
ADDRESS = "ada@x.org"
FILE = """
[auth]
client_id = "second-read"
client_secret = "from the file"
server_metadata_url = "https://sso.example/realms/path/.well-known/openid-configuration"
redirect_uri = "https://lab.example/oauth2callback"
cookie_secret = "not ours"
[roles]
claim = "groups"
lead = ["path-leads"]
pathologist = ["path-leads", "path-readers"]
[people]
ask = "Dr. B. Lead, extension 4711"
session_hours = 8
"""


@pytest.fixture
def configured(settings: Settings) -> Settings:
    settings.home.mkdir(parents=True)
    (settings.home / "auth.toml").write_text(FILE)
    return settings


def test_claims_become_an_identity():
    found = identity_of(CLAIMS, AUTH)
    assert found is not None
    assert (found.issuer, found.subject, found.name, found.email) == (ISSUER, "f:1:ada", "Ada Lovelace", "ada@x.org")
    assert found.roles == {Role.PATHOLOGIST, Role.CONSULTANT}
    assert found.signed_in_at.timestamp() == 1_900_000_000


@pytest.mark.parametrize("name", ["iat", "nonce", "jti", "sid", "auth_time", "iss", "sub"])
def test_every_sign_in_is_a_session_of_its_own(name: str):
    assert session_id_of(CLAIMS) == session_id_of(dict(reversed(CLAIMS.items())))
    assert session_id_of(CLAIMS) != session_id_of({**CLAIMS, name: "another"})


def test_other_claims_do_not_change_the_session():
    assert session_id_of(CLAIMS) == session_id_of({**CLAIMS, "name": "Ada B.", "origin": "http://x"})


@pytest.mark.parametrize(
    ("claims", "claim", "expected"),
    [
        ({"groups": ["path-leads"]}, "groups", {Role.LEAD}),
        ({"groups": "path-leads"}, "groups", {Role.LEAD}),
        ({"groups": ["PATH-LEADS", "lead", "path-leads "]}, "groups", set()),
        ({"groups": {"path-leads": True}}, "groups", set()),
        ({"groups": None}, "groups", set()),
        ({}, "groups", set()),
        ({"https://lab.example/roles": ["path-leads"]}, "https://lab.example/roles", {Role.LEAD}),
        ({"a": {"b": {"c": ["path-leads"]}}}, "a.b.c", {Role.LEAD}),
        ({"a": {"b": ["path-leads"]}}, "a.b.c", set()),
        ({"a": ["path-leads"]}, "a.b", set()),
        ({"groups": [["path-leads"], 1, None, "path-readers"]}, "groups", {Role.PATHOLOGIST, Role.CONSULTANT}),
    ],
)
def test_only_values_of_the_mapping_give_roles(claims, claim, expected):
    auth = AuthSettings(providers=("default",), roles_claim=claim, role_of=AUTH.role_of)
    assert mapped_roles(claims, auth) == expected


@pytest.mark.parametrize(
    ("verified", "trust", "expected"),
    [(True, False, ADDRESS), (None, False, None), (False, False, None), ("true", False, None), (None, True, ADDRESS)],
)
def test_an_address_counts_only_if_the_provider_checked_it(verified, trust, expected):
    auth = AuthSettings(providers=("default",), trust_email=trust)
    found = identity_of({**CLAIMS, "email_verified": verified}, auth)
    assert found is not None
    assert found.email == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "  Ada \t B. "}, "Ada B."),
        ({"name": None}, "ada"),
        ({"name": "system"}, "ada"),
        ({"name": "Eve (demonstration)"}, "ada"),
        ({"name": "x" * 61, "preferred_username": "root (command line)"}, "ada@x.org"),
        ({"name": "", "preferred_username": 5, "email": None}, "f:1:ada"),
    ],
)
def test_the_name_for_the_log_is_the_first_that_can_stand_there(changes, expected):
    found = identity_of({**CLAIMS, **changes}, AUTH)
    assert found is not None
    assert found.name == expected


def test_demonstration_names_end_where_a_provider_begins():
    demonstration = {**CLAIMS, "iss": DEMONSTRATION_ISSUER}
    assert identity_of(demonstration, AuthSettings()) is not None
    assert identity_of(demonstration, AUTH) is None
    assert identity_of(CLAIMS, AuthSettings()) is None


def test_slashes_at_the_end_of_an_issuer_do_not_make_another_one(configured: Settings):
    assert issuer_of(configured) == ISSUER
    people.add_person(configured, "Ada", issuer=f"{ISSUER}/", email="ada@x.org", roles=[Role.LEAD], actor=CLERK)
    for issuer in (ISSUER, f"{ISSUER}/"):
        identity = identity_of({**CLAIMS, "iss": issuer}, AUTH)
        assert identity is not None
        found = visit(configured, identity, hours=1e6)
        assert found.person is not None
        assert found.person.log_name == "Ada"


def test_the_file_is_read_and_variables_come_first(configured: Settings):
    outside = "from outside"
    found = read_auth_settings(
        configured, {"SECOND_READ_OIDC_CLIENT_SECRET": outside, "SECOND_READ_FIRST_LEAD": "ada@x.org"}
    )
    assert found.providers == ("default",)
    assert found.secrets["client_secret"] == outside
    assert "cookie_secret" not in found.secrets
    assert found.role_of == {"path-leads": {Role.LEAD, Role.PATHOLOGIST}, "path-readers": {Role.PATHOLOGIST}}
    assert (found.ask, found.session_hours, found.first_lead) == ("Dr. B. Lead, extension 4711", 8.0, "ada@x.org")
    assert outside not in repr(found)


def test_without_any_settings_it_is_a_demonstration(settings: Settings):
    found = read_auth_settings(settings, {})
    assert (found.is_demonstration, found.secrets, found.providers) == (True, {}, ())
    assert issuer_of(settings) == DEMONSTRATION_ISSUER


def test_variables_alone_are_enough(settings: Settings):
    environ = {
        "SECOND_READ_OIDC_CLIENT_ID": "a",
        "SECOND_READ_OIDC_CLIENT_SECRET": "b",
        "SECOND_READ_OIDC_METADATA_URL": "https://sso.example/.well-known/openid-configuration",
        "SECOND_READ_OIDC_REDIRECT_URI": "http://localhost:8501/oauth2callback",
    }
    assert read_auth_settings(settings, environ).providers == ("default",)
    del environ["SECOND_READ_OIDC_CLIENT_SECRET"]
    with pytest.raises(InputError, match="lacks client_secret"):
        read_auth_settings(settings, environ)


def test_several_providers_are_named(configured: Settings):
    section = 'client_id = "a"\nclient_secret = "b"\nserver_metadata_url = "https://y"\n'
    text = (
        f'[auth]\nredirect_uri = "https://lab.example/oauth2callback"\n[auth.hospital]\n{section}[auth.uni]\n{section}'
    )
    (configured.home / "auth.toml").write_text(text)
    assert read_auth_settings(configured, {}).providers == ("hospital", "uni")
    with pytest.raises(InputError, match="--issuer"):
        issuer_of(configured)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[auth]", "[auth", "cannot be read"),
        ('client_id = "second-read"', "", "lacks client_id"),
        ("/oauth2callback", "/callback", "followed by /oauth2callback"),
        ("https://lab", "lab", "redirect_uri"),
        ("lead = [", "boss = [", "boss in [roles] is no role"),
        ('lead = ["path-leads"]', 'lead = "path-leads"', "must be a list"),
        ("session_hours = 8", "session_hours = 0", "session_hours is 0"),
        ("session_hours = 8", 'session_hours = "8"', "session_hours"),
        ("[people]", "[[people]]", "must be a table"),
    ],
)
def test_settings_that_cannot_work_are_a_sentence(configured: Settings, old: str, new: str, words: str):
    path = configured.home / "auth.toml"
    assert old in FILE
    path.write_text(FILE.replace(old, new))
    with pytest.raises(InputError) as refused:
        read_auth_settings(configured, {})
    assert words in str(refused.value)
    assert "from the file" not in str(refused.value), "a message tells no secret"


def test_a_named_file_that_is_missing_is_a_sentence(settings: Settings, tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_auth_settings(settings, {"SECOND_READ_AUTH_FILE": str(tmp_path / "none.toml")})


# -- the cookie, at the tile routes ----------------------------------------------------------------------------------


def cookies_of(claims: dict[str, object], *, secret: str = SECRET) -> dict[str, str]:
    """The cookies Streamlit itself sets for claims, in as many parts as they need."""
    found: dict[str, str] = {}

    def sign(name: str, value: str) -> bytes:
        return create_signed_value(secret, name, value)

    def put(name: str, value: str) -> None:
        found[name] = sign(name, value).decode()

    set_cookie_with_chunks(put, sign, COOKIE_NAME, claims, cookie_attr_size=60)
    return found


MANY = {**CLAIMS, "groups": [str(uuid5(NAMESPACE_DNS, str(number))) for number in range(200)]}
"""Somebody in many groups, named by numbers as directories do."""


def test_claims_in_several_cookies_are_read_whole():
    cookies = cookies_of(MANY)
    assert len(cookies) > 3
    assert cookie_claims(SECRET, cookies) == MANY
    assert cookie_claims(SECRET, cookies_of(CLAIMS)) == CLAIMS


@pytest.mark.parametrize("broken", ["missing", "exchanged", "altered", "other secret", "not JSON", "no text"])
def test_cookies_that_do_not_fit_together_name_nobody(broken: str):
    cookies = cookies_of(MANY)
    first, second = f"{COOKIE_NAME}_1", f"{COOKIE_NAME}_2"
    if broken == "missing":
        del cookies[second]
    elif broken == "exchanged":
        cookies[first], cookies[second] = cookies[second], cookies[first]
    elif broken == "altered":
        cookies[second] = f"x{cookies[second]}"
    elif broken == "other secret":
        cookies = cookies_of(MANY, secret=SECRET[::-1] + "x")
    else:
        value = "{" if broken == "not JSON" else json.dumps([1])
        cookies = {COOKIE_NAME: create_signed_value(SECRET, COOKIE_NAME, value).decode()}
    assert cookie_claims(SECRET, cookies) is None


@pytest.fixture
def signed_in(configured: Settings) -> Settings:
    enrol(configured, "lead")
    identity = identity_of(CLAIMS, read_auth_settings(configured))
    assert identity is not None
    found = visit(configured, identity, hours=1e6)
    assert found.person is not None
    people.change_roles(configured, found.person.person_id, [Role.VIEWER], actor="lead")
    return configured


def ask(gate: SessionGate, claims: dict[str, object]) -> str | None:
    return asyncio.run(gate.subject(cookies_of(claims)))


def test_the_gate_knows_a_session_until_it_is_revoked(signed_in: Settings):
    gate = SessionGate(signed_in, SECRET, keep_s=0)
    assert ask(gate, CLAIMS) == f"{ISSUER}|f:1:ada"
    assert ask(gate, {**CLAIMS, "nonce": "never seen by a page"}) is None
    assert ask(gate, {**CLAIMS, "is_logged_in": False}) is None
    assert asyncio.run(gate.subject({})) is None
    sessions.revoke_session(signed_in, session_id_of(CLAIMS), because="", actor="lead")
    assert ask(gate, CLAIMS) is None


@pytest.mark.parametrize("change", ["closed", "no role"])
def test_the_gate_closes_with_the_access(signed_in: Settings, change: str):
    gate = SessionGate(signed_in, SECRET, keep_s=0)
    assert ask(gate, CLAIMS) is not None
    (ada,) = [one for one in people.list_people(signed_in, actor="lead") if one.log_name == "Ada Lovelace"]
    if change == "closed":
        people.set_active(signed_in, ada.person_id, active=False, actor="lead")
    else:
        people.change_roles(signed_in, ada.person_id, [], actor="lead")
    assert ask(gate, CLAIMS) is None


def test_an_answer_is_kept_for_a_moment_and_no_longer(signed_in: Settings):
    kept, fresh = SessionGate(signed_in, SECRET, keep_s=60), SessionGate(signed_in, SECRET, keep_s=0.01)
    cookies = cookies_of(CLAIMS)
    assert asyncio.run(kept.subject(cookies)) is not None
    assert asyncio.run(fresh.subject(cookies)) is not None
    sessions.revoke_session(signed_in, session_id_of(CLAIMS), because="", actor="lead")
    assert asyncio.run(kept.subject(cookies)) is not None
    assert asyncio.run(kept.subject(cookies_of({**CLAIMS, "nonce": "other"}))) is None, "each cookie has its own answer"
    asyncio.run(asyncio.sleep(0.02))
    assert asyncio.run(fresh.subject(cookies)) is None


def test_two_people_with_split_cookies_are_told_apart(signed_in: Settings):
    gate = SessionGate(signed_in, SECRET, keep_s=60)
    other = {**MANY, "sub": "f:1:eve", "nonce": "n2"}
    ours, theirs = cookies_of({**MANY}), cookies_of(other)
    assert asyncio.run(gate.subject(ours)) == f"{ISSUER}|f:1:ada"
    assert asyncio.run(gate.subject(theirs)) is None
