"""The trends screen: courses by group, what a click leads to, empty states and the export."""

import io
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from quality_kit import make_cohort

from core.roles import Role
from core.services.quality.trends import quality_trends
from core.settings import Settings
from pages.parts.trends.courses import days_of, export_trends, filters_of


@pytest.fixture
def cohort(empty_home: Settings, tmp_path) -> Settings:
    make_cohort(empty_home, tmp_path / "scans")
    return empty_home


@pytest.mark.usefixtures("cohort")
def test_courses_by_scanner_have_n_medians_and_shares(open_page, texts):
    at = open_page("trends.py", role=Role.VIEWER, t_by="Scanner")
    assert not at.exception
    assert "n = 6 measured slides in 2 groups. 1 more is not measured." in texts(at)
    frame = at.dataframe[0].value.set_index("Scanner")
    assert frame["Slides"].to_dict() == {"Alpha": 3, "Beta": 3}
    assert frame.loc["Beta", "Score, median"] == pytest.approx(0.7)
    assert frame.loc["Beta", "Suggested not accepted"] == pytest.approx(2 / 3)
    assert frame.loc["Alpha", "Suggested not accepted"] == 0
    assert not at.get("download_button"), "a viewer exports nothing"


@pytest.mark.usefixtures("cohort")
def test_by_day_the_rule_stands_in_words_and_few_days_have_no_limits(open_page, texts):
    at = open_page("trends.py", role=Role.QC)
    assert "three standard deviations from the centre" in texts(at)
    assert len(at.dataframe[0].value) == 1
    none = open_page("trends.py", role=Role.QC, q_search="nothing")
    assert "No slide of these filters has a quality measurement" in texts(none)


@pytest.mark.usefixtures("empty_home")
def test_without_slides_it_says_what_to_do(open_page, texts):
    assert "Add slides by folder" in texts(open_page("trends.py", role=Role.QC))


def test_a_click_leads_to_the_slides_of_its_group(cohort):
    by_scanner = quality_trends(cohort, by="scanner", actor="clerk (command line)")
    assert filters_of(by_scanner, by_scanner.points[0]) == {"show_scanner": "Alpha"}
    by_stain = quality_trends(cohort, by="stain", actor="clerk (command line)")
    assert filters_of(by_stain, by_stain.points[0]) == {"show_stain": "H&E"}
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    by_day = quality_trends(cohort, by="day", actor="clerk (command line)")
    assert filters_of(by_day, by_day.points[0]) == {"show_from": today, "show_to": today}


@pytest.mark.parametrize(
    ("by", "group", "first", "last"),
    [
        ("day", "2030-01-31", date(2030, 1, 31), date(2030, 1, 31)),
        ("week", "2030-W01", date(2029, 12, 31), date(2030, 1, 6)),
        ("month", "2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("month", "2030-12", date(2030, 12, 1), date(2030, 12, 31)),
    ],
)
def test_days_of_a_period(by, group, first, last):
    assert days_of(by, group) == (first, last)


def test_the_export_carries_the_sentences(cohort):
    text = export_trends(quality_trends(cohort, by="site", actor="clerk (command line)")).decode("utf-8-sig")
    first, rest = text.split("\n", 1)
    assert "not for primary diagnosis" in first
    assert pd.read_csv(io.StringIO(rest))["Slides"].sum() == 6
