"""The rules beyond the model against a plain read: schemes, systems, readers, models, aggregations, sets, audit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.discordance import Said
from core.domain import FlagDirection, FlagKind, ReadCategory, Region, SlideStatus
from core.flags import (
    AggregationCall,
    CaseEvidence,
    ModelCall,
    ReadEvidence,
    SlideEvidence,
    SystemCall,
    case_flags,
    disagreement_probability,
    is_drawn,
)
from core.flags.against_read import call_severity
from core.rules import RuleSet, Threshold
from core.schemes import Severity, load_scheme

B, M, UNSURE = ReadCategory.BENIGN, ReadCategory.MALIGNANT, ReadCategory.INDETERMINATE
RULES = RuleSet(version="r1", abstain_band=0.05)
ISUP, IDC, NOTTINGHAM = load_scheme("isup"), load_scheme("breast_idc"), load_scheme("nottingham")
SLIDE = SlideEvidence(
    slide_id="A1",
    status=SlideStatus.OK,
    message="",
    score=0.2,
    threshold=0.5,
    positive="carcinoma",
    peak=Region(1, 2, 3, 4),
    carrying_artefact=0.0,
    model="idc",
    weights_sha256="ab" * 32,
)


def evidence(read=B, *, slide=SLIDE, **rest) -> CaseEvidence:
    return CaseEvidence(read, () if slide is None else (slide,), case_id="C1", **rest)


def kinds(case: CaseEvidence, rules: RuleSet = RULES) -> list[FlagKind]:
    return [flag.kind for flag in case_flags(case, rules)]


@pytest.mark.parametrize(
    ("scheme", "code", "called", "severity"),
    [
        (None, None, M, Severity.MAJOR),
        (ISUP, "0", M, Severity.MAJOR),
        (ISUP, "2", B, Severity.MAJOR),
        (IDC, "benign", M, Severity.MAJOR),
        (IDC, "atypia", B, Severity.NONE),
        (IDC, "suspicious", B, Severity.MINOR),
        (NOTTINGHAM, "1", B, Severity.MAJOR),
        (NOTTINGHAM, "1", M, Severity.NONE),
        (ISUP, "indeterminate", M, Severity.MAJOR),
    ],
)
def test_the_mildest_difference_that_a_call_can_mean(scheme, code, called, severity) -> None:
    assert call_severity(scheme, code, called) is severity


@pytest.mark.parametrize(
    ("read", "score", "limit", "flagged"),
    [(B, 0.4, 0.4, True), (B, 0.4, 0.41, False), (M, 0.4, 0.6, True), (M, 0.4, 0.61, False), (B, 0.99, 0.995, False)],
)
def test_a_threshold_decides_instead_of_the_band(read, score, limit, flagged) -> None:
    rules = replace(RULES, thresholds=(Threshold(from_probability=limit),))
    case = evidence(read, slide=replace(SLIDE, score=score))
    expected = [FlagKind.MODEL_HIGHER if read is B else FlagKind.MODEL_LOWER] if flagged else []
    assert kinds(case, rules) == expected


def test_cost_of_a_miss_sets_the_limit() -> None:
    case = evidence(B, slide=replace(SLIDE, score=0.12))
    assert disagreement_probability(case) == pytest.approx(0.12)
    for cost, expected in ((6, []), (9, [FlagKind.MODEL_HIGHER])):  # 1/7 and 1/10
        assert kinds(case, replace(RULES, thresholds=(Threshold(model="idc", cost=cost),))) == expected
    assert kinds(case, replace(RULES, thresholds=(Threshold(model="other", cost=9),))) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("0", (FlagKind.MODEL_LOWER, FlagDirection.LOWER, Severity.MAJOR)),
        ("2", None),
        ("3", (FlagKind.MODEL_HIGHER, FlagDirection.HIGHER, Severity.MINOR)),
        ("5", (FlagKind.MODEL_HIGHER, FlagDirection.HIGHER, Severity.MAJOR)),
    ],
)
def test_another_system_against_the_grade_that_was_read(said, expected) -> None:
    system = SystemCall("other", ISUP.read_category(said), said, {"2": 0.3, said: 0.6})
    case = evidence(M, slide=None, scheme=ISUP, code="2", systems=(system,))
    flags = case_flags(case, RULES)
    assert [(flag.kind, flag.direction, flag.severity) for flag in flags] == ([] if expected is None else [expected])
    for flag in flags:
        assert (flag.model, flag.score) == ("other", pytest.approx(0.7))
    strict = replace(RULES, thresholds=(Threshold(model="other", scheme="isup", from_probability=0.71),))
    assert case_flags(case, strict) == ()


def read_by(name: str, category=B, code: str | None = None, scheme: str | None = None) -> ReadEvidence:
    return ReadEvidence(name, Said(category, None, scheme, code))


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ([], None),
        ([read_by("a"), read_by("b")], None),
        ([read_by("a"), read_by("b", M)], (1.0, Severity.MAJOR)),
        ([read_by("a"), read_by("a", M)], None),
        ([read_by("a"), read_by("b", UNSURE)], None),
        ([read_by("a"), read_by("b", UNSURE), read_by("c", M)], (1.0, Severity.MAJOR)),
        ([read_by("a"), read_by("b"), read_by("c", M)], (2 / 3, Severity.MAJOR)),
        ([read_by("a", M, "2", "isup"), read_by("b", M, "3", "isup")], (1.0, Severity.MINOR)),
        (
            [read_by("a", M, "2", "isup"), read_by("b", M, "3", "isup"), read_by("c", M, "4", "isup")],
            (1.0, Severity.MAJOR),
        ),
        ([read_by("a", M, "2", "isup"), read_by("b", M, "2", "nottingham")], None),
    ],
)
def test_readers_who_differ(reads, expected) -> None:
    case = evidence(B, slide=None, reads=tuple(reads), schemes={"isup": ISUP, "nottingham": NOTTINGHAM})
    flags = case_flags(case, RULES)
    found = [(flag.score, flag.severity) for flag in flags if flag.kind is FlagKind.READER_DISAGREEMENT]
    assert found == ([] if expected is None else [(pytest.approx(expected[0]), expected[1])])


@pytest.mark.parametrize(
    ("own", "other", "differ"),
    [(0.2, 0.9, True), (0.9, 0.2, True), (0.2, 0.52, False), (0.48, 0.9, False), (0.2, 0.3, False)],
)
def test_models_and_aggregations_differ_only_where_both_are_clear(own, other, differ) -> None:
    slide = replace(SLIDE, score=own)
    models = replace(slide, other_models=(ModelCall("second", other, 0.5),))
    rolled = replace(slide, aggregations=(AggregationCall("attention", other, 0.5),))
    assert (FlagKind.MODEL_DISAGREEMENT in kinds(evidence(None, slide=models))) is differ
    assert (FlagKind.AGGREGATION_DISAGREEMENT in kinds(evidence(None, slide=rolled))) is differ


def test_the_model_against_another_system_on_a_case_that_nobody_has_read() -> None:
    systems = (SystemCall("same", B), SystemCall("other", M), SystemCall("mute", None), SystemCall("unsure", UNSURE))
    (flag,) = case_flags(evidence(None, systems=systems), RULES)
    assert flag.kind is FlagKind.MODEL_DISAGREEMENT
    assert flag.reason == "idc calls the case benign (0.20 (threshold 0.50) on A1), other calls it malignant."
    broken = replace(SLIDE, slide_id="A2", score=None, status=SlideStatus.FAILED)
    part = CaseEvidence(None, (SLIDE, broken), systems=systems)
    assert kinds(part) == [FlagKind.NO_RESULT]


def test_prediction_sets() -> None:
    words = "all sites and scanners, error rate 0.01"
    for labels, expected in (
        (None, []),
        (("idc",), []),
        (("idc", "other"), [FlagKind.ABSTAINED]),
        ((), [FlagKind.OUT_OF_DISTRIBUTION]),
    ):
        case = evidence(None, slide=replace(SLIDE, labels=labels, calibration=words))
        assert kinds(case) == expected
        assert all(words in flag.reason for flag in case_flags(case, RULES))


def test_a_rule_that_is_off_raises_nothing() -> None:
    case = evidence(B, slide=replace(SLIDE, score=0.9, carrying_artefact=0.5))
    assert kinds(case) == [FlagKind.MODEL_HIGHER, FlagKind.QC_LIMITED]
    assert kinds(case, replace(RULES, on=frozenset({FlagKind.QC_LIMITED}))) == [FlagKind.QC_LIMITED]


def test_the_audit_is_drawn_from_unflagged_read_cases_with_a_result() -> None:
    everything = replace(RULES, audit_share=1.0, audit_seed=3)
    (flag,) = case_flags(evidence(B), everything)
    assert flag.kind is FlagKind.AUDIT_SAMPLE
    assert "seed 3" in flag.reason
    assert kinds(evidence(None), everything) == []
    assert kinds(evidence(B, slide=None), everything) == []
    assert kinds(evidence(B, slide=replace(SLIDE, score=0.9)), everything) == [FlagKind.MODEL_HIGHER]
    assert kinds(evidence(B), replace(everything, on=frozenset(FlagKind) - {FlagKind.AUDIT_SAMPLE})) == []


def test_the_audit_share_holds_and_another_seed_draws_other_cases() -> None:
    names = [f"C{number}" for number in range(4_000)]
    drawn = {seed: {name for name in names if is_drawn(name, share=0.05, seed=seed)} for seed in (1, 2)}
    assert all(150 < len(found) < 250 for found in drawn.values())  # 200 expected, standard deviation 14
    assert len(drawn[1] & drawn[2]) < 30
    assert not any(is_drawn(name, share=0.0, seed=1) for name in names)
    assert all(is_drawn(name, share=1.0, seed=1) for name in names)


@given(st.text(), st.floats(0, 1), st.floats(0, 1), st.integers())
def test_a_larger_share_keeps_who_was_drawn(name, one, other, seed) -> None:
    small, large = sorted((one, other))
    assert not is_drawn(name, share=small, seed=seed) or is_drawn(name, share=large, seed=seed)
