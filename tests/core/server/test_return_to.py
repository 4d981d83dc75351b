"""The way back after a sign-in at a provider: inside this dashboard, once, for who is signed in."""

from urllib.parse import quote

import pytest

from core.server.return_to import RETURN_COOKIE, return_cookie, wanted_of

SIGNED = "_streamlit_user=x"


def scope(cookie: str, *, path: str = "/", method: str = "GET") -> dict[str, object]:
    return {"type": "http", "method": method, "path": path, "headers": [(b"cookie", cookie.encode())]}


def wanted(target: str) -> str:
    return f"{RETURN_COOKIE}={quote(target, safe='')}"


@pytest.mark.parametrize("target", ["/case?case=A+B&x=1.5", "/consultations", "/case?case=K%C3%A4se"])
def test_a_signed_in_person_goes_on_to_the_wanted_page(target):
    assert wanted_of(scope(f"{SIGNED}; {wanted(target)}")) == target


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb", "/", ""]
)
def test_nobody_is_led_elsewhere(target):
    assert wanted_of(scope(f"{SIGNED}; {wanted(target)}")) is None


def test_only_the_start_page_and_only_when_signed_in():
    cookie = f"{SIGNED}; {wanted('/case')}"
    assert wanted_of(scope(cookie)) == "/case"
    assert wanted_of(scope(wanted("/case"))) is None
    assert wanted_of(scope(cookie, path="/about")) is None
    assert wanted_of(scope(cookie, method="HEAD")) is None
    assert wanted_of({"type": "websocket", "path": "/", "headers": []}) is None


def test_the_cookie_cannot_end_its_script_or_itself():
    made = return_cookie("/case?case=</script>;\"'x")
    assert made.startswith(f"{RETURN_COOKIE}=%2Fcase%3Fcase%3D%3C%2Fscript%3E%3B%22%27x; path=/; max-age=600")
    assert "max-age=0" in return_cookie("/")
