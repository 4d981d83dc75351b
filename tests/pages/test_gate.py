"""The sign-in gate, and the two sentences that stand on every page."""

import pytest

from core.domain import NOT_FOR_DIAGNOSIS
from core.server.identity import Role

PAGES = ("worklist.py", "case.py", "slides.py", "about.py")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.QC, Role.PATHOLOGIST, Role.LEAD])
def test_every_page_carries_both_sentences_and_the_banner(open_page, texts, page, role):
    at = open_page(page, role=role)
    assert not at.exception
    said = texts(at)
    assert NOT_FOR_DIAGNOSIS in said
    assert "Generated phantom slides say nothing about clinical accuracy." in said
    assert "Demonstration sign-in, not authenticated" in said


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_a_page_before_signing_in(open_page, texts, page):
    at = open_page(page, role=None, case="MISSED")
    assert [title.value for title in at.title] == ["Second Read"]
    assert at.text_input(key="sign_in_name")
    assert not at.dataframe
    assert "MISSED" not in texts(at)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("page", PAGES)
def test_every_page_keeps_strangers_out_by_itself(run_alone, texts, page):
    at = run_alone(page)
    assert not at.exception
    assert "Sign in first" in texts(at)
    assert not at.title
    assert not at.dataframe


@pytest.mark.usefixtures("empty_home")
def test_signing_in_leads_through_the_route_to_the_wanted_page(open_page):
    at = open_page("case.py", role=None, case="A 1&b")
    at.text_input(key="sign_in_name").set_value("Ada <Reader>")
    at.button(key="sign_in_submit").click().run()
    assert not at.exception
    (script,) = [html.value for html in at.get("html")]
    assert '"/demo/login?name=Ada+%3CReader%3E&role=pathologist&next=%2Fcase%3Fcase%3DA%2B1%2526b"' in script


@pytest.mark.usefixtures("empty_home")
def test_a_name_is_asked_for(open_page, texts):
    at = open_page("worklist.py", role=None)
    at.text_input(key="sign_in_name").set_value("   ")
    at.button(key="sign_in_submit").click().run()
    assert "Type a name" in texts(at)
    assert not at.get("html")
