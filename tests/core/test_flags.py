"""Which read and which scores raise which flag, as a table; and what every flag must carry."""

from dataclasses import replace

import pytest

from core.domain import FlagDirection, FlagKind, ReadCategory, Region, SlideStatus
from core.flags import CaseEvidence, SlideEvidence, case_flags, margin
from core.flags.limits import qc_limited
from core.rules import RuleSet

RULES = RuleSet(version="flags-1", abstain_band=0.1, qc_limit=0.25)
SLIDE = SlideEvidence(
    slide_id="A1",
    status=SlideStatus.OK,
    message="",
    score=0.9,
    threshold=0.5,
    positive="invasive ductal carcinoma",
    peak=Region(400, 800, 400, 400),
    carrying_artefact=0.0,
    model="idc",
    weights_sha256="ab" * 32,
)
BROKEN = replace(SLIDE, slide_id="A2", status=SlideStatus.UNREADABLE, message="Not a slide.", score=None, peak=None)
BENIGN, MALIGNANT, UNSURE = ReadCategory.BENIGN, ReadCategory.MALIGNANT, ReadCategory.INDETERMINATE


@pytest.mark.parametrize(
    ("read", "scores", "kinds"),
    [
        (None, [0.95], []),
        (BENIGN, [0.95], [FlagKind.MODEL_HIGHER]),
        (BENIGN, [0.05, 0.95], [FlagKind.MODEL_HIGHER]),
        (BENIGN, [0.61], [FlagKind.MODEL_HIGHER]),
        (BENIGN, [0.55], [FlagKind.ABSTAINED]),
        (BENIGN, [0.41], [FlagKind.ABSTAINED]),
        (BENIGN, [0.05], []),
        (MALIGNANT, [0.05], [FlagKind.MODEL_LOWER]),
        (MALIGNANT, [0.05, 0.95], []),
        (MALIGNANT, [0.95], []),
        (UNSURE, [0.95], [FlagKind.OTHER_CATEGORY]),
        (UNSURE, [0.5], [FlagKind.ABSTAINED]),
        (None, [0.5], [FlagKind.ABSTAINED]),
        (BENIGN, [], []),
    ],
)
def test_read_against_model(read, scores, kinds):
    slides = tuple(replace(SLIDE, slide_id=f"A{i}", score=score) for i, score in enumerate(scores))
    assert [flag.kind for flag in case_flags(CaseEvidence(read, slides), RULES)] == kinds


def test_a_flag_carries_reason_direction_place_and_versions():
    (flag,) = case_flags(CaseEvidence(BENIGN, (SLIDE,)), RULES)
    assert flag.direction is FlagDirection.HIGHER
    assert flag.location == Region(400, 800, 400, 400)
    assert flag.reason == ("Read as benign; the model scores invasive ductal carcinoma at 0.90 on A1 (threshold 0.50).")
    assert flag.score == pytest.approx(0.8)
    assert (flag.rule_version, flag.model, flag.weights_sha256) == ("flags-1", "idc", "ab" * 32)


def test_a_slide_without_result_is_flagged_and_never_counts_as_negative():
    flags = case_flags(CaseEvidence(MALIGNANT, (replace(SLIDE, score=0.05), BROKEN)), RULES)
    assert [flag.kind for flag in flags] == [FlagKind.NO_RESULT]
    assert flags[0].reason == "A2 has no result (unreadable): Not a slide."


def test_artefact_on_the_carrying_tissue_limits_the_call():
    flags = case_flags(CaseEvidence(MALIGNANT, (replace(SLIDE, carrying_artefact=0.4),)), RULES)
    assert [flag.kind for flag in flags] == [FlagKind.QC_LIMITED]
    assert "40% of the tissue" in flags[0].reason
    assert not case_flags(CaseEvidence(MALIGNANT, (replace(SLIDE, carrying_artefact=0.25),)), RULES)


@pytest.mark.parametrize(
    ("score", "threshold", "expected"), [(1.0, 0.8, 1.0), (0.9, 0.8, 0.5), (0.8, 0.8, 0.0), (0.4, 0.8, -0.5)]
)
def test_margin_is_relative_to_the_room_on_either_side(score, threshold, expected):
    assert margin(replace(SLIDE, score=score, threshold=threshold)) == pytest.approx(expected)


def test_the_slide_furthest_above_its_own_threshold_decides():
    slides = (replace(SLIDE, slide_id="A", score=0.9, threshold=0.85), replace(SLIDE, slide_id="B", score=0.8))
    (flag,) = case_flags(CaseEvidence(BENIGN, slides), RULES)
    assert flag.slide_id == "B"


# ---------------------------------------------------------------------------------------- results that artefact limits


@pytest.mark.parametrize(
    ("score", "without", "expected"),
    [
        (0.8, 0.78, None),
        (0.8, None, None),
        (0.8, 0.6, "moves by more than 0.1 (0.80 to 0.60)"),
        (0.55, 0.47, "no longer calls"),
        (0.45, 0.52, "would call"),
    ],
)
def test_a_result_that_differs_without_artefact_is_limited(
    score: float, without: float | None, expected: str | None
) -> None:
    slide = SlideEvidence(
        slide_id="s",
        status=SlideStatus.OK,
        message="",
        score=score,
        threshold=0.5,
        positive="cancer",
        peak=None,
        carrying_artefact=0.0,
        score_without_artefact=without,
    )
    found = qc_limited(CaseEvidence(read=None, slides=(slide,)), RULES)
    assert [expected in flag.reason for flag in found] == ([] if expected is None else [True])  # type: ignore[operator]
