"""The board, the day of a person, the reports and agreement: one department whose history is known by heart."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from consult_kit import BENIGN, MALIGNANT, ask, department, flagged_case, give, settled, third_reader
from store_kit import run_of, save

from core.agreement.estimates import Bootstrap
from core.documents import to_html
from core.domain import NOT_FOR_DIAGNOSIS, FlagKind, ReadCategory, ReviewVerdict
from core.errors import InputError, NotAllowedError
from core.services.agreement.view import MODEL, agreement_view
from core.services.calibration.calibrations import add_calibration, list_calibrations
from core.services.calibration.coverage import coverage_of
from core.services.cases import review
from core.services.cases.day import day_view
from core.services.cases.worklist import case_detail
from core.services.consultations import resolution
from core.services.consultations.lists import Waits
from core.services.reports.files import report_csv, report_document
from core.services.reports.periods import Period
from core.services.reports.reports import Report, median_interval, report
from core.services.rules import rules
from core.services.rules.flagging import refresh_flags
from core.services.triage.board import audit_result, board
from core.services.triage.setting import Setting, SettingKind
from core.settings import Settings
from core.store.board import SettledCase, settled_cases
from core.store.connection import open_log, reading
from core.store.consult_records import NewComparison, NewResolution
from core.uncertainty.monitoring import FORMAT
from core.vocabulary import Discordance, ManagementImpact, ReportAction, ResolutionMethod

QUICK = Bootstrap(replicates=20)


def cases_a_day(count: int) -> Setting:
    return Setting(SettingKind.CASES, count)


def agreed(settings: Settings, case_id: str) -> None:
    """Ask about a benign read of ann's, have it confirmed, and uphold it without touching the report."""
    given = give(settings, ask(settings, case_id=case_id), BENIGN, actor="cleo")
    same = NewComparison(
        discordance=Discordance.AGREEMENT,
        basis=None,
        management_impact=ManagementImpact.NONE,
        error_type=None,
        note="",
    )
    resolution.compare(settings, given.opinion_id, same, actor="ann")
    resolution.agree(settings, case_id, actor="ann")
    upheld = replace(
        third_reader(case_detail(settings, case_id).diagnoses[0].diagnosis_id),
        method=ResolutionMethod.FIRST_UPHELD,
        report_action=ReportAction.NONE,
    )
    assert isinstance(upheld, NewResolution)
    resolution.resolve(settings, case_id, upheld, actor="ann")


@pytest.fixture
def history(settings: Settings) -> Settings:
    """Major: flagged, settled as malignant, signed; same: unflagged, upheld; open and mild wait; asked is awaited."""
    flagged_case(settings, "major", score=0.95)
    settled(settings, "major")
    flagged_case(settings, "same", score=0.1)
    agreed(settings, "same")
    flagged_case(settings, "open", score=0.9)
    flagged_case(settings, "mild", score=0.2)
    flagged_case(settings, "asked", score=0.3)
    ask(settings, "cleo", case_id="asked")
    return settings


def test_board_day_and_reports(history: Settings) -> None:
    found = board(history, cases_a_day(1), actor="ann")
    assert [one.case_id for one in found.cases] == ["open"]
    assert (found.waiting, found.flag_rate, found.resolved, found.hidden) == (2, 0.5, 2, 0)
    assert found.cases[0].benefit == pytest.approx(2 * 0.9)
    point = found.measured
    assert point is not None
    # Half of the two resolved ones is the flagged one, which was the discordance.
    assert (point.flagged, point.cases, point.sensitivity.count, point.sensitivity.of) == (1, 2, 1, 1)
    assert (point.yield_.value, point.residual.value, point.lift, point.reviews_per_discordance) == (1.0, 0.0, 2.0, 1.0)
    assert point.sensitivity.low == pytest.approx(0.2065, abs=1e-4)
    assert (found.audit.audited, found.audit.bound) == (0, None)
    assert (found.calibration, found.expected, found.discordant) == (None, None, 1)
    assert [point.flagged for point in found.curve] == [0, 1, 2]
    assert board(history, Setting(SettingKind.SHARE, 0.0), actor="ann").cases == ()
    assert len(board(history, cases_a_day(99), actor="ann").cases) == 2
    # The one discordance had 0.95: that value was cheapest, whatever a miss costs, and no waiting case reaches it.
    by_cost = board(history, Setting(SettingKind.COST, 3), actor="ann")
    assert (by_cost.from_probability, by_cost.cases) == (pytest.approx(0.95), ())
    with pytest.raises(NotAllowedError):
        board(history, cases_a_day(1), actor="nobody")

    review.assign(history, "open", assignee="ann", actor="ann")
    mine, hers = day_view(history, actor="ann"), day_view(history, actor="cleo")
    # mild, asked and same, whose resolution is not signed yet, are nobody's; same and major are settled.
    assert (mine.yours, mine.unassigned, mine.waiting) == (1, 2, ("same",))
    assert (hers.yours, hers.waiting) == (0, ("asked",))
    assert [one.case_id for one in hers.opinions] == ["asked"]
    assert [(one.case_id, one.waits) for one in mine.decisions] == [("same", Waits.SIGNATURE)]
    assert mine.overdue == ()

    made = report(history, actor="ann")
    values = {one.name: (one.count, one.n) for one in made.measures}
    assert values == {
        "second_review_rate": (3, 5),
        "major_rate": (1, 2),
        "minor_rate": (0, 2),
        "days_to_opinion": (None, 3),
        "resolved_before_report": (1, 1),
        "override_rate": (0, 0),
        "amended_per_1000": (1, 5),
        "audit_misses": (0, 0),
    }
    assert {one.name: one.value for one in made.measures}["amended_per_1000"] == pytest.approx(200)
    assert report(history, actor="cleo").hidden == 1
    assert {one.name: one.n for one in report(history, actor="cleo").measures}["second_review_rate"] == 4
    past = report(history, period=Period(end=datetime(2020, 1, 1, tzinfo=UTC)), actor="ann")
    assert {one.n for one in past.measures} == {0}
    assert all(one.value is None for one in past.measures)
    review.record_review(history, "open", verdict=ReviewVerdict.DISAGREE, actor="ann")
    overrides = next(one for one in report(history, actor="ann").measures if one.name == "override_rate")
    assert (overrides.count, overrides.n) == (1, 1)
    check_files(made)


def check_files(made: Report) -> None:
    nasty = replace(made, made_by="<script>x</script>", measures=(replace(made.measures[0], title="a<b&c"),))
    page = to_html(report_document(nasty, department="A & <B>"))
    assert "<script" not in page
    assert "a&lt;b&amp;c" in page
    assert "A &amp; &lt;B&gt;" in page
    assert NOT_FOR_DIAGNOSIS in page
    assert "http" not in page
    rows = list(csv.reader(io.StringIO(report_csv(made))))
    assert rows[0][:3] == ["measure", "value", "unit"]
    assert [row[0] for row in rows[1:9]] == [one.name for one in made.measures]
    assert rows[2][:3] == ["major_rate", "50", "%"]
    assert rows[-1] == ["note", NOT_FOR_DIAGNOSIS]


def test_agreement_from_the_log(history: Settings) -> None:
    view = agreement_view(history, bootstrap=QUICK, actor="Eve")
    assert view.scheme.name == "plain"
    assert view.report.table.readers == ("ann", "cleo", "dan")
    assert len(view.report.table.cases) == 5
    pair = next(one for one in view.report.pairs if (one.first, one.second) == ("ann", "cleo"))
    assert (pair.cases, pair.statistics["po"].value) == (2, 0.5)
    model = view.report.model
    assert model is not None
    assert (model.name, model.profile.reads) == (MODEL, 5)
    assert (view.pairs, view.anonymous) == (0, False)
    review.record_diagnosis(history, "open", category=ReadCategory.MALIGNANT, actor="ann")
    after = agreement_view(history, bootstrap=QUICK, actor="ann")
    assert (after.pairs, after.influence["changed"].value, after.influence["towards_model"].value) == (1, 1.0, 1.0)
    assert after.anonymous
    assert set(after.report.table.readers) == {"ann", "reader 1", "reader 2"}
    blinded = agreement_view(history, bootstrap=QUICK, actor="cleo")
    assert (blinded.hidden, len(blinded.report.table.cases)) == (1, 4)
    with pytest.raises(InputError, match="Fewer than two"):
        agreement_view(history, scheme="isup", bootstrap=QUICK, actor="Eve")
    with pytest.raises(InputError, match="no reading scheme"):
        agreement_view(history, scheme="none", bootstrap=QUICK, actor="Eve")


def calibration(own: list[float], other: list[float]) -> str:
    group = {"site": None, "scanner": None, "classes": ["idc", "other"], "true_scores": [own, other]}
    return json.dumps({"format": FORMAT, "model": "idc", "weights_sha256": "ab" * 32, "groups": [group]})


def test_a_calibration_flags_and_is_watched(settings: Settings) -> None:
    slide_id = flagged_case(settings, "C1", score=0.95)
    run = run_of(slide_id, run_id="again", score=0.95)
    save(settings, replace(run, settings={"positive_classes": ["idc"]}))
    settled(settings, "C1")
    text = calibration([0.9, 0.95, 0.99], [0.9, 0.95, 0.99])
    with pytest.raises(NotAllowedError):
        add_calibration(settings, text, alpha=0.3, reason="new scanner", actor="ann")
    for alpha, reason, said in ((0.0, "x", "Alpha"), (0.3, " ", "reason")):
        with pytest.raises(InputError, match=said):
            add_calibration(settings, text, alpha=alpha, reason=reason, actor="Eve")
    add_calibration(settings, text, alpha=0.3, reason="new scanner", actor="Eve")
    (used,) = list_calibrations(settings)
    assert (used.alpha, used.added_by, used.file.model) == (0.3, "Eve", "idc")
    # p(idc) = (2 + 1) / 4 stays, p(other) = 1 / 4 goes: one label, so nothing is undecided.
    (coverage,) = coverage_of(settings, actor="ann")
    assert (coverage.cases, coverage.warnings) == (1, ())
    assert [(check.label, check.errors.count, check.errors.of) for check in coverage.checks] == [
        ("", 0, 1),
        ("malignant", 0, 1),
    ]
    assert FlagKind.ABSTAINED not in {flag.kind for flag in refresh_flags(settings, "C1", actor="ann")}
    add_calibration(settings, text, alpha=0.2, reason="stricter", actor="Eve")
    undecided = [flag for flag in refresh_flags(settings, "C1", actor="ann") if flag.kind is FlagKind.ABSTAINED]
    assert "idc or other" in undecided[0].reason
    add_calibration(settings, calibration([0.99] * 5, [0.9] * 5), alpha=0.4, reason="x", actor="Eve")
    assert FlagKind.OUT_OF_DISTRIBUTION in {flag.kind for flag in refresh_flags(settings, "C1", actor="ann")}
    (missed,) = coverage_of(settings, actor="ann")
    assert missed.checks[0].errors.count == 1


def test_audited_cases_are_found_again_when_they_are_settled(settings: Settings) -> None:
    department(settings)
    rules.draft_rules(settings, 'version = "audit"\naudit_share = 1.0\naudit_seed = 5\n', actor="Eve")
    rules.activate_rules(settings, "audit", reason="see what is missed", actor="Eve")
    flagged_case(settings, "quiet", score=0.05)
    assert [flag.kind for flag in case_detail(settings, "quiet").flags] == [FlagKind.AUDIT_SAMPLE]
    settled(settings, "quiet")
    with open_log(settings) as database, reading(database):
        (one,) = settled_cases(database)
    assert (one.audited, one.flagged, one.discordance, one.category) == (
        True,
        False,
        Discordance.MAJOR,
        ReadCategory.MALIGNANT,
    )
    assert one.score == pytest.approx(0.05)
    misses = next(row for row in report(settings, actor="ann").measures if row.name == "audit_misses")
    assert (misses.count, misses.n, misses.detail) == (1, 1, "miss rate at most 100.0% (95 %, one-sided)")
    assert MALIGNANT.category is ReadCategory.MALIGNANT


def audited(number: int, *, discordance: Discordance | None, flagged: bool = False, drawn: bool = True) -> SettledCase:
    return SettledCase(
        case_id=f"C{number}",
        site=None,
        at=datetime(2030, 1, 1, tzinfo=UTC),
        discordance=discordance,
        report_action=ReportAction.NONE,
        category=None,
        score=0.1,
        flagged=flagged,
        audited=drawn,
    )


def test_only_drawn_unflagged_and_compared_cases_are_the_audit() -> None:
    clean = [audited(number, discordance=Discordance.AGREEMENT) for number in range(59)]
    rest = [
        audited(60, discordance=None),
        audited(61, discordance=Discordance.MAJOR, drawn=False),
        audited(62, discordance=Discordance.MAJOR, flagged=True),
    ]
    found = audit_result([*clean, *rest])
    assert (found.audited, found.missed, found.bound) == (59, 0, pytest.approx(0.05, abs=0.001))
    assert audit_result([*clean, audited(70, discordance=Discordance.MINOR)]).missed == 1


@pytest.mark.parametrize(
    ("count", "expected"), [(0, (None, None)), (5, (None, None)), (6, (1.0, 6.0)), (10, (2.0, 9.0)), (20, (6.0, 15.0))]
)
def test_interval_of_a_median(count: int, expected) -> None:
    """Order statistics as tabulated: of 6 the extremes, of 10 the 2nd and 9th, of 20 the 6th and 15th."""
    assert median_interval([float(number) for number in range(count, 0, -1)]) == expected


def test_periods() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    period = Period(start, start + timedelta(days=1))
    assert start in period
    assert start + timedelta(days=1) not in period
    assert start - timedelta(seconds=1) not in period
    assert start in Period()
    for wrong in ((start, start), (datetime(2030, 1, 1), None)):  # noqa: DTZ001 - the time without a zone is the point
        with pytest.raises(InputError):
            Period(*wrong)
