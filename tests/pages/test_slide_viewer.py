"""What the page hands to the viewer: permissions per slide, and nothing of the model before the reveal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from viewer_kit import FIRST, SECOND, UNSCALED, make_home

from core.roles import Role
from core.server.identity import DEMONSTRATION_ISSUER
from core.server.secret import cookie_secret
from core.server.sign_in import demonstration_claims
from core.server.tile_tokens import read
from core.settings import Settings


@pytest.fixture(scope="module")
def viewer_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("payload")
    settings = Settings(home=folder / "home")
    make_home(settings, folder / "slides")
    return settings


def payload(settings: Settings, monkeypatch: pytest.MonkeyPatch, *, role: str = "pathologist", **query: str) -> Any:
    monkeypatch.setenv("SECOND_READ_HOME", str(settings.home))
    at = AppTest.from_file(str(Path(__file__).with_name("viewer_page.py")), default_timeout=20)
    at.user = demonstration_claims(settings, "Ada", role=Role(role))
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return json.loads(at.get("bidi_component")[0].proto.json)


def test_every_slide_has_its_own_permission(viewer_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    data = payload(viewer_home, monkeypatch)
    assert [slide["slide_id"] for slide in data["slides"]] == [FIRST, SECOND, UNSCALED]
    for slide in data["slides"]:
        token = read(cookie_secret(viewer_home), slide["token"])
        assert (token.slide_id, token.user) == (slide["slide_id"], f"{DEMONSTRATION_ISSUER}|ada")
        assert token.model
    first, _, third = data["slides"]
    assert [flag["number"] for flag in first["flags"]] == [1, 2]
    assert {kind: len(tiles) for kind, tiles in first["galleries"].items()} == {
        "suspicious": 24,
        "uncertain": 24,
        "random": 24,
    }
    assert first["no_model"] is None
    assert "No model result" in third["no_model"]
    assert data["can_mark"]


def test_before_the_reveal_nothing_of_the_model_is_sent(viewer_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    data = payload(viewer_home, monkeypatch, hidden="1")
    for slide in data["slides"]:
        assert not read(cookie_secret(viewer_home), slide["token"]).model
        assert (slide["flags"], slide["galleries"]) == ([], {})
    assert "Hidden until your diagnosis" in data["slides"][0]["no_model"]


def test_who_only_looks_cannot_mark(viewer_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not payload(viewer_home, monkeypatch, role="viewer")["can_mark"]
