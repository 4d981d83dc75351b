"""Reading schemes of a home: shipped and own, offered or not, every version kept in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from people_kit import enrol

import core.schemes
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Role
from core.schemes import load_scheme, scheme_names
from core.services.catalogue import verify_log
from core.services.rules import scheme_library
from core.services.rules.scheme_library import add_scheme, check_scheme, find_scheme, list_schemes, offer_scheme
from core.settings import Settings

TEXT = (Path(core.schemes.__file__).parent / "isup.toml").read_text(encoding="utf-8")
SECOND = TEXT.replace('version = "1"', 'version = "2"').replace("No cancer", "Nothing")


@pytest.fixture
def home(settings: Settings) -> Settings:
    enrol(settings, "lea")
    enrol(settings, "pat", roles=(Role.PATHOLOGIST, Role.QC, Role.CONSULTANT))
    return settings


def offered(settings: Settings) -> set[str]:
    return {state.scheme.name for state in list_schemes(settings) if state.offered}


def test_at_first_every_shipped_scheme_is_offered(home: Settings):
    assert offered(home) == set(scheme_names())
    assert not any(state.own for state in list_schemes(home))
    assert find_scheme(home, "isup") == load_scheme("isup")


def test_an_own_scheme_is_offered_only_when_somebody_says_so(home: Settings):
    state = add_scheme(home, "local_isup", TEXT, actor="lea")
    assert (state.own, state.offered, state.changed_by) == (True, False, "lea")
    assert find_scheme(home, "local_isup").codes == load_scheme("isup").codes
    assert "local_isup" not in offered(home)
    assert offer_scheme(home, "local_isup", offered=True, actor="lea").offered
    assert "local_isup" in offered(home)
    assert verify_log(home).ok


def test_a_new_version_replaces_and_the_old_one_stays_in_the_log(home: Settings):
    add_scheme(home, "local_isup", TEXT, actor="lea")
    offer_scheme(home, "local_isup", offered=True, actor="lea")
    rows = verify_log(home).rows
    assert add_scheme(home, "local_isup", TEXT, actor="lea").offered
    assert verify_log(home).rows == rows, "the same file again is no event"
    state = add_scheme(home, "local_isup", SECOND, actor="lea")
    assert (state.scheme.version, state.scheme.categories[0].title, state.offered) == ("2", "Nothing", True)
    with pytest.raises(ConflictError, match="a version 1 of other content"):
        add_scheme(home, "local_isup", TEXT.replace("No cancer", "None"), actor="lea")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("isup", TEXT, "shipped scheme"),
        ("Local", TEXT, "cannot be a scheme's name"),
        ("../etc", TEXT, "cannot be a scheme's name"),
        ("x", TEXT, "cannot be a scheme's name"),
        ("local", "title = ", "not TOML"),
        ("local", "title = 'x'", "needs 'source'"),
        ("local", TEXT.replace('"minor"', '"slight"'), "'slight'"),
        ("local", "#" * (scheme_library.SIZE_LIMIT + 1), "more than"),
    ],
)
def test_a_file_that_is_no_scheme_is_refused_and_leaves_nothing(home: Settings, name: str, text: str, words: str):
    rows = verify_log(home).rows
    with pytest.raises(InputError) as refused:
        add_scheme(home, name, text, actor="lea")
    assert words in str(refused.value)
    with pytest.raises(InputError):
        check_scheme(text, name=name)
    assert verify_log(home).rows == rows


def test_one_scheme_at_least_is_always_offered(home: Settings):
    names = sorted(scheme_names())
    for name in names[1:]:
        offer_scheme(home, name, offered=False, actor="lea")
    with pytest.raises(ConflictError, match="last scheme"):
        offer_scheme(home, names[0], offered=False, actor="lea")
    assert offered(home) == {names[0]}
    assert find_scheme(home, names[1]).name == names[1], "withdrawn is not gone"
    rows = verify_log(home).rows
    offer_scheme(home, names[1], offered=False, actor="lea")
    assert verify_log(home).rows == rows


@pytest.mark.parametrize("actor", ["pat", "nobody", "system"])
def test_only_leads_and_the_command_line_change_schemes(home: Settings, actor: str):
    with pytest.raises(NotAllowedError):
        add_scheme(home, "local", TEXT, actor=actor)
    with pytest.raises(NotAllowedError):
        offer_scheme(home, "isup", offered=False, actor=actor)
    add_scheme(home, "local", TEXT, actor="ops (command line)")


def test_an_unknown_scheme_is_a_sentence(home: Settings):
    with pytest.raises(NotFoundError, match="no reading scheme"):
        find_scheme(home, "none")
    with pytest.raises(NotFoundError):
        offer_scheme(home, "none", offered=True, actor="lea")
