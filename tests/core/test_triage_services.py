"""Audit draws, settings of the board, calibrated probabilities, abstaining, and slides unlike usual ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from resolved_kit import WEIGHTS, add_read, add_resolved, department_with

from core.domain import FlagKind, ReadCategory
from core.errors import ConflictError, InputError, NotAllowedError
from core.services.analysis.unlikeness import COLOURS, Usual, fit_usual, list_references, measured_colours
from core.services.calibration.calibrations import add_calibration
from core.services.calibration.coverage import coverage_of
from core.services.calibration.making import (
    Columns,
    SeenModel,
    calibration_from_resolved,
    calibration_from_table,
    list_seen_models,
)
from core.services.cases import review
from core.services.cases.worklist import case_detail
from core.services.evaluation.selective import selective_of
from core.services.rules import rules
from core.services.rules.flagging import refresh_flags
from core.services.triage.audits import audit_view, draw_audit
from core.services.triage.board import board
from core.services.triage.setting import Setting, SettingKind, parse_setting
from core.settings import Settings
from core.slides import open_slide
from core.store.connection import open_log, writing
from core.store.verification import verify
from core.tissue import find_tissue
from core.triage import calibrated, fit_discordance
from core.uncertainty.monitoring import EVERYTHING, Group, parse_calibration

CASES = Setting(SettingKind.CASES, 4)


@given(st.sampled_from(SettingKind), st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 3)))
def test_a_setting_comes_back_from_its_address(kind: SettingKind, value: float) -> None:
    number = float(round(value * 100)) if kind is SettingKind.CASES else value
    if kind is SettingKind.COST:
        number += 0.1
    found = Setting(kind, float(f"{number:g}"))
    assert parse_setting(found.text) == found


@pytest.mark.parametrize(
    "text", ["", "cases", "cases-", "cases-1.5", "cases--3", "share-1.2", "cost-0", "cost-nan", "luck-3"]
)
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_setting(text)


def test_recalibration_finds_the_logistic_curve_that_made_the_outcomes() -> None:
    draw = np.random.default_rng(0)
    scores = draw.uniform(0.02, 0.98, 20_000)
    truth = draw.random(20_000) < 1 / (1 + np.exp(1.5 - 0.6 * np.log(scores / (1 - scores))))
    found = fit_discordance(scores, truth)
    assert found is not None
    assert (found.intercept, found.slope) == (pytest.approx(-1.5, abs=0.1), pytest.approx(0.6, abs=0.06))
    assert found.brier_after < found.brier_before
    after = calibrated(scores, found)
    assert (np.diff(after[np.argsort(scores)]) >= 0).all()
    assert after.mean() == pytest.approx(truth.mean(), abs=0.01)


@pytest.mark.parametrize(("cases", "discordant"), [(49, 20), (200, 9), (200, 191), (0, 0)])
def test_too_few_resolved_cases_calibrate_nothing(cases: int, discordant: int) -> None:
    scores = np.linspace(0, 1, cases)
    assert fit_discordance(scores, np.arange(cases) < discordant) is None


def test_calibration_never_turns_the_order_round() -> None:
    scores = np.linspace(0.01, 0.99, 100)
    found = fit_discordance(scores, scores < 0.4)
    assert found is not None
    assert found.slope == 0


def test_a_draw_is_repeatable_flagged_and_counted(settings: Settings) -> None:
    department_with(settings, resolved=0, waiting=12)
    before = board(settings, CASES, actor="ann")
    assert (before.audit.audited, before.audit.bound) == (0, None)
    pool = audit_view(settings, actor="ann").pool
    made = draw_audit(settings, size=3, seed=11, actor="Eve")
    assert (made.number, made.seed, made.pool, len(made.cases), made.rule_version) == (1, 11, pool, 3, "flags-1")
    kinds = {name: [flag.kind for flag in case_detail(settings, name).flags] for name in made.cases}
    assert set(map(tuple, kinds.values())) == {(FlagKind.AUDIT_SAMPLE,)}
    (flag,) = case_detail(settings, made.cases[0]).flags
    assert f"draw 1, 3 of {pool}, seed 11" in flag.reason
    assert refresh_flags(settings, made.cases[0], actor="ann")[0].kind is FlagKind.AUDIT_SAMPLE
    again = draw_audit(settings, size=500, seed=11, actor="Eve")
    assert not set(again.cases) & set(made.cases)
    assert len(again.cases) == again.pool == pool - 3
    view = audit_view(settings, actor="ann")
    assert (view.pool, [draw.number for draw in view.draws]) == (0, [1, 2])
    assert {one.missed for one in view.cases} == {None}
    with pytest.raises(ConflictError, match="No case can be drawn"):
        draw_audit(settings, size=1, actor="Eve")
    assert verify(settings).ok


def test_who_may_draw_and_what_cannot_be_drawn(settings: Settings) -> None:
    department_with(settings, resolved=0, waiting=4)
    review.record_diagnosis(settings, "W000", category=ReadCategory.BENIGN, actor="bob")
    with pytest.raises(NotAllowedError):
        draw_audit(settings, size=1, actor="nobody")
    for size, seed in ((0, 1), (501, 1), (1, -1), (1, 2**31)):
        with pytest.raises(InputError):
            draw_audit(settings, size=size, seed=seed, actor="Eve")
    quiet = [kind.value for kind in FlagKind if kind is not FlagKind.AUDIT_SAMPLE]
    rules.draft_rules(settings, f'version = "quiet"\non = {quiet}\n', actor="Eve")
    rules.activate_rules(settings, "quiet", reason="x", actor="Eve")
    with pytest.raises(ConflictError, match="does not flag audit cases"):
        draw_audit(settings, size=1, actor="Eve")
    assert audit_view(settings, actor="ann").draws == (), "a draw that was refused is not kept"


def test_the_board_counts_by_calibrated_probability_once_it_may(settings: Settings) -> None:
    department_with(settings, resolved=60)
    found = board(settings, CASES, actor="ann")
    assert found.calibration is not None
    assert found.calibration.cases == found.resolved == 60
    assert found.expected == pytest.approx(sum(one.probability for one in found.cases))
    assert [one.case_id for one in found.cases] == ["W005", "W004", "W003", "W002"]
    assert found.cases[0].probability != pytest.approx(0.917, abs=0.002), "no longer the distance from the threshold"
    by_cost = board(settings, Setting(SettingKind.COST, 4), actor="ann")
    assert by_cost.from_probability == pytest.approx(0.2)
    assert all(one.probability >= 0.2 for one in by_cost.cases)
    assert len(by_cost.cases) < by_cost.waiting
    flags = [point.sensitivity.value or 0 for point in found.curve]
    assert flags == sorted(flags)
    assert flags[-1] == 1


def test_calibration_from_resolved_cases_is_watched_on_them(settings: Settings) -> None:
    department_with(settings, resolved=40, waiting=0)
    (model,) = list_seen_models(settings, actor="ann")
    assert (model.model, model.classes, model.slides) == ("idc", ("idc", "other"), 40)
    text = calibration_from_resolved(settings, WEIGHTS, actor="Eve")
    file = parse_calibration(text)
    assert list(file.groups) == [EVERYTHING, Group("North", None)]
    assert sum(file.groups[EVERYTHING].counts) == 40
    add_calibration(settings, text, alpha=0.1, reason="year one", actor="Eve")
    (coverage,) = coverage_of(settings, actor="ann")
    assert coverage.cases == 40
    # The calibration cases themselves: the valid count keeps the promise in each class by construction.
    assert all((check.errors.value or 0) <= 0.1 for check in coverage.checks if check.label)
    with pytest.raises(NotAllowedError):
        calibration_from_resolved(settings, WEIGHTS, actor="nobody")
    with pytest.raises(InputError, match="No model of these weights"):
        calibration_from_resolved(settings, "cd" * 32, actor="Eve")


def test_calibration_from_a_table_groups_by_site_and_scanner() -> None:
    model = SeenModel(model="idc", weights_sha256=WEIGHTS, classes=("idc", "other"), slides=1)
    rows = [f"{i % 2},{0.5 + i / 100},{0.5 - i / 100},{'A' if i < 6 else 'B'},X" for i in range(8)]
    text = "\n".join(["idc,p_idc,p_other,site,scanner", *rows, "1,0.9,0.1,C,Y"])
    columns = Columns("idc", ("p_idc", "p_other"), "site", "scanner")
    file = parse_calibration(calibration_from_table(text, model=model, columns=columns))
    # Site C and scanner Y have a single case: no class of theirs can be calibrated on nothing.
    assert [str(group) for group in file.groups] == [
        "all sites and scanners",
        "scanner X",
        "site A",
        "site A, scanner X",
        "site B",
        "site B, scanner X",
    ]
    assert file.groups[EVERYTHING].counts == (5, 4)
    with pytest.raises(InputError, match="one score column for each"):
        calibration_from_table(text, model=model, columns=Columns("idc", ("p_idc",)))
    with pytest.raises(InputError, match="no probability"):
        calibration_from_table(text.replace("0.9,0.1", "9,0.1"), model=model, columns=columns)


def test_abstaining_is_measured_on_resolved_cases(settings: Settings) -> None:
    department_with(settings, resolved=0, waiting=0)
    with open_log(settings) as database, writing(database):
        for number, (score, differs) in enumerate(
            [(0.95, True), (0.9, True), (0.6, False), (0.45, True), (0.1, False)]
        ):
            add_resolved(database, settings, f"C{number}", score=score, differs=differs)
    (found,) = selective_of(settings, risk=0.0, actor="ann")
    assert (found.cases, found.wrong, found.threshold) == (5, 2, 0.5)
    assert (found.band.abstained, found.band.risk.count, found.band.risk.of) == (2, 0, 3)
    assert found.band.high == pytest.approx(0.9)
    assert found.curve[-1].risk.count == 2
    with pytest.raises(InputError):
        selective_of(settings, risk=1.5, actor="ann")
    with pytest.raises(NotAllowedError):
        selective_of(settings, risk=0.1, actor="nobody")


def usual(draw: np.random.Generator) -> list[float]:
    return (0.3 + 0.02 * draw.standard_normal(9)).round(5).tolist()


def test_a_slide_of_other_colours_is_flagged_and_usual_ones_are_not(settings: Settings) -> None:
    department_with(settings, resolved=0, waiting=0)
    draw = np.random.default_rng(1)
    with open_log(settings) as database, writing(database):
        for number in range(60):
            add_read(database, settings, f"U{number:02d}", score=0.1, extra={COLOURS: usual(draw)})
    with pytest.raises(InputError, match="0 slides that quality control accepted"):
        fit_usual(settings, WEIGHTS, reason="start", actor="Eve")
    with pytest.raises(NotAllowedError):
        fit_usual(settings, WEIGHTS, usual=Usual.ANALYSED, reason="start", actor="nobody")
    strict = fit_usual(settings, WEIGHTS, usual=Usual.ANALYSED, alpha=0.01, reason="start", actor="Eve")
    assert (strict.slides, strict.held_out, strict.can_flag) == (60, 30, False)
    found = fit_usual(settings, WEIGHTS, usual=Usual.ANALYSED, alpha=0.05, reason="more", actor="Eve")
    assert found.can_flag
    assert [one.alpha for one in list_references(settings, actor="ann")] == [0.05]
    with open_log(settings) as database, writing(database):
        add_read(database, settings, "odd", score=0.1, extra={COLOURS: [0.9, *usual(draw)[1:]]})
        add_read(database, settings, "short", score=0.1, extra={COLOURS: [0.3, 0.3]})
        for number in range(20):
            add_read(database, settings, f"N{number:02d}", score=0.1, extra={COLOURS: usual(draw)})
    (flag,) = case_detail(settings, "odd").flags
    assert flag.kind is FlagKind.OUT_OF_DISTRIBUTION
    assert "unlike the slides that idc is used on (colours as strange as in" in flag.reason
    assert "limit 5.0%" in flag.reason
    assert case_detail(settings, "short").flags == ()
    alarms = sum(bool(case_detail(settings, f"N{number:02d}").flags) for number in range(20))
    assert alarms <= 4, "about one in twenty usual slides is flagged"


def test_the_colours_of_a_slide_are_those_of_its_tissue(synthetic_slide, settings: Settings) -> None:
    with open_slide(synthetic_slide) as reader:
        mask = find_tissue(reader, settings.tissue)
        told = measured_colours(reader, mask)
        bare = measured_colours(reader, replace(mask, mask=np.zeros_like(mask.mask)))
    colours = told[COLOURS]
    assert isinstance(colours, list)
    assert len(colours) == 9
    assert min(colours[:3]) > 0.02, "glass has a density of nearly nothing"
    assert bare == {}
