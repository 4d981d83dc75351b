"""The reports page: measures with n and literature, time and trend, files, and who sees what."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from core.documents import to_html, to_pdf
from core.errors import InputError
from core.roles import Role
from core.services.reports.files import report_document, trend_csv
from core.services.reports.periods import Period, Step, label_of, periods_between
from core.services.reports.reports import report, reports_of


@pytest.mark.usefixtures("empty_home")
def test_an_empty_log_says_what_to_do(open_page, texts):
    at = open_page("reports.py", role=Role.VIEWER)
    assert not at.exception
    assert "A report counts cases from their first read on." in texts(at)


@pytest.mark.usefixtures("home")
def test_measures_trend_and_files(open_page, texts):
    at = open_page("reports.py", role=Role.VIEWER)
    assert not at.exception
    table = at.table[0].value
    assert table.loc["Second review", "n"] == "0\u00a0of\u00a02"
    assert table.loc["Major discordance", "Value"] == "none yet"
    assert "Manion 2008" in table.loc["Major discordance", "Literature"]
    assert len(at.get("plotly_chart")) == 1
    assert len(at.get("download_button")) == 4
    at.selectbox(key="report_measure").set_value("major_rate").run()
    assert "Nothing to count in any of these periods." in texts(at)
    at.segmented_control(key="report_span").set_value("From and to").run()
    at.date_input(key="report_from").set_value(datetime.now(UTC).date()).run()
    assert at.table[0].value.loc["Second review", "n"] == "0\u00a0of\u00a02", "today is in a period that ends today"


def test_periods_are_whole_and_leave_no_gap():
    start, end = datetime(2025, 11, 20, 13, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    for step, count, first in ((Step.MONTH, 4, "2025-11"), (Step.QUARTER, 2, "2025-Q4"), (Step.YEAR, 2, "2025")):
        found = periods_between(start, end, step=step)
        assert (len(found), label_of(found[0], step=step)) == (count, first)
        assert all(one.end == following.start for one, following in pairwise(found))
        assert found[0].start <= start
        assert found[-1].end > end
    weeks = periods_between(start, end, step=Step.WEEK)
    assert label_of(weeks[0], step=Step.WEEK) == "2025-W47"
    assert {one.start.weekday() for one in weeks} == {0}
    with pytest.raises(InputError, match="at most 120"):
        periods_between(datetime(2000, 1, 1, tzinfo=UTC), end, step=Step.WEEK)
    with pytest.raises(InputError, match="before it begins"):
        periods_between(end, start, step=Step.YEAR)


def test_the_periods_of_a_trend_add_up(home):
    actor = "clerk (command line)"
    now = datetime.now(UTC)
    cut = periods_between(now.replace(year=now.year - 1), now, step=Step.MONTH)
    parts = reports_of(home, cut, actor=actor)
    whole = report(home, period=Period(cut[0].start, cut[-1].end), actor=actor)
    for place, one in enumerate(whole.measures):
        if one.count is not None:
            assert sum(part.measures[place].n for part in parts) == one.n
            assert sum(part.measures[place].count for part in parts) == one.count
    labelled = [(label_of(one, step=Step.MONTH), part) for one, part in zip(cut, parts, strict=True)]
    assert trend_csv(labelled).count("second_review_rate") == len(cut)
    document = report_document(whole, labelled, department="North & South")
    assert "North &amp; South" in to_html(document)
    assert to_pdf(document).startswith(b"%PDF")
