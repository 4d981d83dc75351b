"""Rules: a draft from the fields, its preview on the cohort, activation with a reason, and who may not."""

import pytest

from core.domain import FlagKind
from core.roles import Role
from core.services.cases.worklist import case_detail
from core.services.rules.rules import activate_rules, draft_rules, list_rules, rule_history

STRICT = 'version = "strict"\n[[threshold]]\nfrom_probability = 0.05\n'
WIDE = 'version = "wide"\nabstain_band = 0.48\n'


def lead(open_page):
    return open_page("rules.py", role=Role.LEAD, name="Eva Lead")


@pytest.mark.usefixtures("home")
def test_from_fields_to_flags(home, open_page, texts):
    at = lead(open_page)
    assert not at.exception
    assert "Only the built-in rules have counted so far" in texts(at)
    at.text_input(key="rules_version_flags-1").set_value("no-missed")
    at.pills(key="rules_on_flags-1").set_value([kind for kind in FlagKind if kind is not FlagKind.MODEL_HIGHER]).run()
    at.button(key="preview").click().run()
    assert {one.label: one.value for one in at.metric} == {
        "Flagged cases": "0 of 2",
        "Newly flagged": "0",
        "No longer flagged": "1",
        "Flagged otherwise": "0",
    }
    assert "3 cases are left out" in texts(at), "the lead has not read the others"
    changes = next(one.value for one in at.dataframe if "Case" in one.value)
    assert list(changes["Case"]) == ["MISSED"]
    at.button(key="draft").click().run()
    assert [state.rules.version for state in list_rules(home)] == ["flags-1", "no-missed"]
    at.button(key="activate_no-missed_over_flags-1").click().run()
    assert "A reason is needed" in texts(at)
    assert not list_rules(home)[1].active
    at.text_input(key="why_no-missed").set_value("to try it").run()
    at.button(key="activate_no-missed_over_flags-1").click().run()
    assert list_rules(home)[1].active
    latest = rule_history(home)[0]
    assert (latest.version, latest.activated, latest.reason) == ("no-missed", True, "to try it")
    at.button(key="apply").click().run()
    assert case_detail(home, "MISSED").flags == ()
    assert not [one for one in at.button if one.key == "apply"], "nothing is behind any more"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("text", "said"), [("version = ", "not TOML"), ("version = 'a b'", "letters, digits"), ("x = 1", "unknown keys")]
)
def test_what_cannot_be_used_is_told_and_not_kept(open_page, texts, text, said):
    at = lead(open_page)
    at.segmented_control(key="rules_how").set_value("Text (TOML)").run()
    at.text_area(key="rules_text_flags-1").set_value(text).run()
    assert said in texts(at)
    assert at.button(key="draft").disabled
    assert at.button(key="preview").disabled


@pytest.mark.usefixtures("home")
def test_a_page_that_is_behind_activates_nothing(home, open_page):
    for text in (STRICT, WIDE):
        draft_rules(home, text, actor="clerk (command line)")
    at = lead(open_page)
    at.text_input(key="why_wide").set_value("calmer").run()
    activate_rules(home, "strict", reason="another tab", actor="clerk (command line)")
    at.button(key="activate_wide_over_flags-1").click().run()
    assert [(one.version, one.before) for one in rule_history(home) if one.activated] == [("strict", "flags-1")]
    assert [one.key for one in at.button if "wide" in (one.key or "")] == ["activate_wide_over_strict"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("role", [Role.PATHOLOGIST, Role.VIEWER])
def test_only_leads_see_it(open_page, texts, role):
    at = open_page("rules.py", role=role)
    assert "Change flag rules and thresholds" in texts(at)
    assert not at.tabs
    assert "Rules" not in [link.proto.label for link in at.get("page_link")]
