"""Rule sets as data: their text, their drafts and activations in the log, and what a preview tells."""

from __future__ import annotations

import re

import pytest
from consult_kit import ask, department, flagged_case
from hypothesis import given
from hypothesis import strategies as st
from store_kit import add_slide, run_of, save

from core.domain import FlagKind, ReadCategory
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.rules import RuleSet, Threshold, parse_rules, rules_text
from core.services.cases import review
from core.services.cases.worklist import case_detail
from core.services.rules import rules
from core.services.rules.flagging import cases_due
from core.settings import Settings
from core.store.verification import verify

STRICT = 'version = "strict"\n[[threshold]]\nfrom_probability = 0.3\n'

shares = st.floats(0, 1, allow_nan=False)
thresholds = st.one_of(
    st.builds(Threshold, model=st.sampled_from(("*", "idc")), scheme=st.just("isup"), cost=st.floats(0.01, 1e6)),
    st.builds(Threshold, model=st.just('a "b"\n\\'), from_probability=shares),
    st.builds(Threshold, scheme=st.just("*"), reviews_a_day=st.floats(0, 5), cases_a_day=st.floats(5, 900)),
)


@given(
    title=st.text(max_size=20).filter(lambda text: not re.search(r"[\ud800-\udfff]", text)),
    on=st.frozensets(st.sampled_from(FlagKind)),
    band=shares,
    share=shares,
    seed=st.integers(-(2**40), 2**40),
    several=st.lists(thresholds, max_size=3, unique_by=lambda one: (one.model, one.scheme)),
)
def test_a_rule_set_comes_back_from_its_text(title, on, band, share, seed, several) -> None:
    found = RuleSet(
        version="2026-1",
        title=title,
        on=on,
        abstain_band=band,
        audit_share=share,
        audit_seed=seed,
        thresholds=tuple(several),
    )
    assert parse_rules(rules_text(found)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "not TOML"),
        ("title = 'x'", "needs a version"),
        ("version = 'a b'", "letters, digits"),
        ("version = 'a'\nlimit = 3", "unknown keys: limit"),
        ("version = 'a'\non = ['model_higher', 'luck']", "rules that there are not: luck"),
        ("version = 'a'\non = 'all'", "rules that there are not"),
        ("version = 'a'\naudit_share = 1.5", "audit_share is 1.5"),
        ("version = 'a'\nqc_limit = true", "qc_limit is True"),
        ("version = 'a'\nabstain_band = nan", "abstain_band is nan"),
        ("version = 'a'\naudit_seed = 1.5", "whole number"),
        ("version = 'a'\n[[threshold]]\n", "either cost"),
        ("version = 'a'\n[[threshold]]\ncost = 3\nfrom_probability = 0.2", "either cost"),
        ("version = 'a'\n[[threshold]]\ncost = 0", "cost of 0"),
        ("version = 'a'\n[[threshold]]\nfrom_probability = 1.1", "no probability"),
        ("version = 'a'\n[[threshold]]\nreviews_a_day = 3", "together"),
        ("version = 'a'\n[[threshold]]\nreviews_a_day = 30\ncases_a_day = 20", "30 reviews of 20"),
        ("version = 'a'\n[[threshold]]\ncost = 3\n[[threshold]]\ncost = 4", "two thresholds"),
        ("version = 'a'\n[[threshold]]\ncosts = 3", "unknown keys: costs"),
        ("version = 'a'\nthreshold = 3", "write \\[\\[threshold"),
    ],
)
def test_what_is_wrong_with_a_rule_set_is_named(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_rules(text)


def test_the_threshold_that_says_most_about_model_and_scheme_goes_first() -> None:
    several = tuple(
        Threshold(model=model, scheme=scheme, cost=cost)
        for cost, (model, scheme) in enumerate([("*", "*"), ("*", "isup"), ("idc", "*"), ("idc", "isup")], start=1)
    )
    found = RuleSet(version="a", thresholds=several)

    def cost(model: str, scheme: str | None) -> float | None:
        threshold = found.threshold_for(model=model, scheme=scheme)
        return None if threshold is None else threshold.cost

    assert [cost("idc", "isup"), cost("idc", None), cost("other", "isup"), cost("other", "plain")] == [4, 3, 2, 1]
    assert RuleSet(version="a", thresholds=several[1:]).threshold_for(model="other", scheme=None) is None
    assert several[0].probability == 0.5
    assert several[3].probability == 0.2


def case(settings: Settings, name: str, score: float) -> None:
    slide_id = add_slide(settings, f"slide-{name}", case_id=name)
    save(settings, run_of(slide_id, run_id=f"run-{name}", score=score))
    department(settings)
    review.record_diagnosis(settings, name, category=ReadCategory.BENIGN, actor="ann")


def test_from_draft_to_flags(settings: Settings) -> None:
    case(settings, "low", 0.4)
    case(settings, "high", 0.9)
    preview = rules.preview_rules(settings, STRICT, actor="Eve")
    assert [(one.case_id, one.before, one.after) for one in preview.entering] == [
        ("low", frozenset(), {FlagKind.MODEL_HIGHER})
    ]
    assert (preview.cases, preview.flagged_before, preview.flagged_after, preview.leaving) == (2, 1, 2, ())
    assert case_detail(settings, "low").flags == ()
    rules.draft_rules(settings, STRICT, actor="Eve")
    assert [state.rules.version for state in rules.list_rules(settings) if state.active] == ["flags-1"]
    assert cases_due(settings) == ()
    state = rules.activate_rules(settings, "strict", reason="two misses in May", expected="flags-1", actor="Eve")
    assert (state.active, state.activated_by, state.reason) == (True, "Eve", "two misses in May")
    assert cases_due(settings) == ("high", "low")
    assert rules.apply_rules(settings, limit=1, actor="Eve") == 1
    assert rules.apply_rules(settings, actor="Eve") == 0
    assert cases_due(settings) == ()
    (flag,) = case_detail(settings, "low").flags
    assert (flag.kind, flag.rule_version, flag.severity) == (FlagKind.MODEL_HIGHER, "strict", "major")
    assert "Probability of a difference 0.40, limit 0.30 (set by hand)" in flag.reason
    rules.activate_rules(settings, "flags-1", reason="too many", actor="Eve")
    rules.apply_rules(settings, actor="Eve")
    assert case_detail(settings, "low").flags == ()
    assert verify(settings).ok


def test_a_capacity_becomes_a_probability_when_activated_and_stays_it(settings: Settings) -> None:
    text = 'version = "busy"\n[[threshold]]\nreviews_a_day = 10\ncases_a_day = 20\n'
    department(settings)
    with pytest.raises(InputError, match="No case with a read"):
        rules.preview_rules(settings, text, actor="Eve")
    for name, score in (("a", 0.2), ("b", 0.7), ("c", 0.45), ("d", 0.9)):
        case(settings, name, score)
    assert {one.case_id for one in rules.preview_rules(settings, text, actor="Eve").entering} == set()
    rules.draft_rules(settings, text, actor="Eve")
    state = rules.activate_rules(settings, "busy", reason="holidays", actor="Eve")
    assert state.rules.thresholds[0].from_probability == pytest.approx(0.7)
    case(settings, "e", 0.69)
    assert [case_detail(settings, name).flags != () for name in "abcde"] == [False, True, False, True, False]


def test_a_preview_leaves_out_what_is_hidden_from_who_asks(settings: Settings) -> None:
    flagged_case(settings, "C1", score=0.4)
    add_slide(settings, "unread", case_id="U1")
    save(settings, run_of("unread", run_id="u", score=0.4))
    ask(settings, "Eve", case_id="C1")
    preview = rules.preview_rules(settings, STRICT, actor="Eve")
    assert (preview.cases, preview.hidden, preview.entering) == (0, 2, ())
    assert rules.preview_rules(settings, STRICT, actor="clerk (command line)").cases == 2


def test_what_is_refused(settings: Settings) -> None:
    department(settings)
    for call in (
        lambda: rules.draft_rules(settings, STRICT, actor="ann"),
        lambda: rules.preview_rules(settings, STRICT, actor="ann"),
        lambda: rules.activate_rules(settings, "flags-1", reason="x", actor="ann"),
    ):
        with pytest.raises(NotAllowedError):
            call()
    first = rules.draft_rules(settings, STRICT, actor="Eve")
    assert rules.draft_rules(settings, STRICT, actor="Eve") == first
    with pytest.raises(ConflictError, match="another rule set of version strict"):
        rules.draft_rules(settings, STRICT.replace("0.3", "0.4"), actor="Eve")
    with pytest.raises(ConflictError, match="another rule set"):
        rules.draft_rules(settings, 'version = "flags-1"', actor="Eve")
    with pytest.raises(NotFoundError):
        rules.activate_rules(settings, "nothing", reason="x", actor="Eve")
    with pytest.raises(InputError, match="reason"):
        rules.activate_rules(settings, "strict", reason=" ", actor="Eve")
    with pytest.raises(ConflictError, match="counts by now"):
        rules.activate_rules(settings, "strict", reason="x", expected="older", actor="Eve")
