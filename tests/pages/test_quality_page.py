"""The quality screen: table, filters, one slide and its verdict, second reads, cohort, limits, and who may what."""

import io

import numpy as np
import pandas as pd
import pytest
from people_kit import enrol
from PIL import Image
from quality_kit import COHORT, labels_of, make_cohort, report_of, yesterday

from core.qc.classes import ArtefactClass
from core.roles import Role
from core.services.quality.limits import active_limits
from core.services.quality.references import add_reference
from core.services.quality.second_reads import ask_second_reads
from core.services.quality.table import quality_table
from core.services.quality.verdicts import NewQcVerdict, judge, slide_verdicts
from core.settings import Settings
from core.vocabulary import QcDisposition, QcReason
from pages.parts.quality.table import export_table

QUINN = "Quinn (demonstration)"


@pytest.fixture
def cohort(empty_home: Settings, tmp_path) -> Settings:
    """Six measured slides and one that is not."""
    make_cohort(empty_home, tmp_path / "scans")
    return empty_home


@pytest.fixture
def open_quality(open_page):
    """Open the screen as quality control."""
    return lambda role=Role.QC, name="Quinn", **query: open_page("quality.py", role=role, name=name, **query)


def table(at) -> pd.DataFrame:
    return at.dataframe[0].value.set_index("Slide")


def button(at, label):
    return next(one for one in at.button if one.label == label)


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize(
    ("role", "sentence"), [(Role.QC, "Add slides by folder"), (Role.VIEWER, "Ask a pathologist, quality control")]
)
def test_without_slides_it_says_what_to_do(open_quality, texts, role, sentence):
    at = open_quality(role)
    assert not at.exception
    assert sentence in texts(at)


@pytest.mark.usefixtures("cohort")
def test_the_table_shows_every_slide_the_worst_first_and_its_export_says_the_same(open_quality, texts, cohort):
    at = open_quality()
    assert not at.exception
    shown = table(at)
    assert list(shown.index) == ["S-04", "S-05", "S-03", "S-02", "S-06", "S-01", "S-07"], "not measured comes last"
    assert shown.loc["S-04", "Score"] == pytest.approx(0.55)
    assert shown.loc["S-04", "Out of focus"] == pytest.approx(0.45)
    assert list(shown.loc["S-04", "Suggested"]) == ["Rescan"]
    assert list(shown.loc["S-07", "Suggested"]) == ["Not analysed yet"]
    assert {tuple(one) for one in shown["Verdict"]} == {("No verdict",)}
    assert shown.loc["S-04", "Map"].startswith("data:image/jpeg;base64,")
    assert "7 slides: 7 no verdict." in texts(at)
    text = export_table(quality_table(cohort, actor=QUINN).rows).decode("utf-8-sig")
    first, rest = text.split("\n", 1)
    assert "not for primary diagnosis" in first
    exported = pd.read_csv(io.StringIO(rest)).set_index("Slide")
    assert exported.loc["S-04", "Out of focus mm²"] == pytest.approx(9.0)
    assert exported.loc["S-04", "Out of focus share of tissue"] == pytest.approx(0.45)


@pytest.mark.usefixtures("cohort")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q_search": "s-0", "q_order": "Most fold first"}, ["S-02", "S-03"]),
        ({"q_scanner": "Beta", "q_order": "Slide id"}, ["S-04", "S-05", "S-06"]),
        ({"q_artefact": "Fold", "q_suggested": "Accept"}, ["S-02"]),
        ({"show_scanner": "Beta", "q_order": "Slide id"}, ["S-04", "S-05", "S-06"]),
        ({"show_to": yesterday()}, []),
    ],
)
def test_filters_and_order_stand_in_the_address(open_quality, texts, query, expected):
    at = open_quality(**query)
    assert not at.exception
    if expected:
        assert list(table(at).index)[: len(expected)] == expected
        assert "q_order" in query or len(table(at)) == len(expected)
    else:
        assert "No slide passes these filters" in texts(at)


def test_a_verdict_goes_into_the_log_with_reason_origin_and_note(cohort, open_quality, texts):
    at = open_quality(slide="S-03")
    assert not at.exception
    assert at.title[0].value == r"Slide S\-03"
    assert "1 minus the share of tissue out of focus" in texts(at)
    assert "Main fault: pen" in texts(at)
    classes = next(frame.value for frame in at.dataframe if "Class" in frame.value).set_index("Class")
    assert classes.loc["Pen", "Area"] == pytest.approx(3.0)
    assert classes.loc["Pen", "Network only"] == pytest.approx(0.6)
    button(at, "Record").click().run()
    assert "Choose a verdict first" in texts(at)
    at.segmented_control(key=next(one.key for one in at.segmented_control if "disposition" in one.key)).set_value(
        QcDisposition.RECUT
    ).run()
    button(at, "Record").click().run()
    assert "needs a reason" in texts(at)
    fault = next(one for one in at.selectbox if one.label == "Main fault")
    fault.set_value(QcReason.DAMAGED).run()
    next(one for one in at.text_input if one.label == "Note").set_value("torn at the edge")
    button(at, "Record").click().run()
    assert not at.exception
    (verdict,) = slide_verdicts(cohort, "S-03", actor=QUINN).standing
    assert (verdict.disposition, verdict.reason, verdict.origin) == ("recut", "damaged", "preparation")
    assert (verdict.note, verdict.suggested) == ("torn at the edge", "accept_with_limitation")


def test_record_and_next_walks_in_the_order_of_the_table(cohort, open_quality):
    at = open_quality(slide="S-04")
    button(at, "Take over").click().run()
    button(at, "Record and next").click().run()
    assert at.title[0].value == r"Slide S\-05", "the second worst of the table"
    (verdict,) = slide_verdicts(cohort, "S-04", actor=QUINN).standing
    assert (verdict.disposition, verdict.reason) == ("rescan", "out_of_focus")
    button(at, "Previous").click().run()
    assert at.title[0].value == r"Slide S\-04"


def test_a_second_reader_sees_no_first_verdict_and_agreement_counts_the_pair(cohort, open_quality, texts):
    enrol(cohort, "Rae Reader", roles=(Role.QC,))
    at = open_quality()
    judge(cohort, "S-05", NewQcVerdict(disposition=QcDisposition.RESTAIN, reason=QcReason.STAIN), actor="Rae Reader")
    ask_second_reads(cohort, ["S-05"], reader=QUINN, actor="Rae Reader")
    at = open_quality(slide="S-05")
    assert "Hidden until your own verdict is given" in texts(at)
    assert "Restain" not in [badge.value for badge in at.get("badge")]
    shown = table(open_quality())
    assert list(shown.loc["S-05", "Verdict"]) == ["Hidden from you"]
    judge(cohort, "S-05", NewQcVerdict(disposition=QcDisposition.ACCEPT), actor=QUINN)
    at = open_quality(q_view="Second reads")
    assert not at.exception
    assert "n = 1 independent pairs" in texts(at)
    statistics = next(frame.value for frame in at.dataframe if "Statistic" in frame.value)
    assert statistics["Value"].iloc[0] == "0.000", "the two differ"
    differ = next(frame.value for frame in at.dataframe if "First reader" in frame.value)
    assert differ["Slide"].tolist() == ["S-05"]


def test_a_reference_stands_beside_our_map_with_figures_and_in_three_colours(cohort, open_quality, texts, tmp_path):
    enrol(cohort, "Rae", roles=(Role.QC,))
    found = labels_of(report_of(COHORT["S-04"][0]))
    blurred = found == ArtefactClass.OUT_OF_FOCUS.code
    rows = np.flatnonzero(blurred.any(axis=1))
    mask = blurred.copy()
    mask[rows[len(rows) // 2] :] = False  # the reference marks the upper half of what we found
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "half.png")
    add_reference(
        cohort,
        "S-04",
        tmp_path / "half.png",
        name="Rae",
        artefact=ArtefactClass.OUT_OF_FOCUS,
        usable=False,
        human_score=2,
        actor="Rae",
    )
    at = open_quality(slide="S-04")
    assert not at.exception
    line = next(frame.value for frame in at.dataframe if "TPR" in frame.value).iloc[0]
    assert (line["TPR"], line["NPV"], line["Usable"], line["Score 0-5"]) == (1.0, 1.0, "no", 2)
    assert line["Dice"] == pytest.approx(2 / 3, abs=0.05)
    assert "found but not annotated" in texts(at)
    assert "annotated and missed: **0.00 mm²**" in texts(at)
    assert at.get("image"), "the map in three colours"


@pytest.mark.usefixtures("cohort")
@pytest.mark.parametrize(("role", "exports"), [(Role.PATHOLOGIST, True), (Role.VIEWER, False)])
def test_others_look_and_judge_nothing(open_quality, texts, role, exports):
    at = open_quality(role, name="Vic")
    assert len(table(at)) == 7
    assert not [one for one in at.button if one.label in ("Accept", "Ask for a second read")]
    assert bool(at.get("download_button")) is exports
    at = open_quality(role, name="Vic", slide="S-04")
    assert "Quality control and leads give verdicts" in texts(at)
    assert not [one for one in at.button if one.label.startswith("Record")]


def test_limits_are_tried_before_they_count(cohort, open_quality, texts):
    at = open_quality(q_view="Limits")
    assert not at.exception
    share = next(one for one in at.number_input if one.label.startswith("Accept with limitation"))
    share.set_value(90.0).run()
    metrics = {one.label: one.value for one in at.metric}
    assert (metrics["Slides compared"], metrics["Change side"]) == ("6", "1"), "S-03 would have to be done again"
    button(at, "Keep and activate").click().run()
    assert "reason" in texts(at).casefold()
    assert active_limits(cohort).version == "qc-limits-1"
    next(one for one in at.text_input if one.label == "Why these limits").set_value("stricter for the study")
    button(at, "Keep and activate").click().run()
    assert not at.exception
    assert active_limits(cohort).limitation_usable == 0.9
    viewer = open_quality(Role.VIEWER, name="Vic", q_view="Limits")
    assert "Limits are changed by" in texts(viewer)
    assert not viewer.number_input


@pytest.mark.usefixtures("cohort")
def test_the_cohort_says_its_rule_its_n_and_the_batch_effect(open_quality, texts):
    at = open_quality(q_view="Cohort")
    assert not at.exception
    told = texts(at)
    assert "n = 6 slides; 1 more is not measured" in told
    assert "robust standard deviations" in told
    assert "silhouette" in told
    assert {one.label: one.value for one in at.metric}["n"] == "6"
    outliers = next(frame.value for frame in at.dataframe if "Why" in frame.value).set_index("Slide")
    assert "Out of focus, share of tissue 45% (" in outliers.loc["S-04", "Why"]
    assert len(at.get("plotly_chart")) == 2
    alone = open_quality(q_view="Cohort", q_search="S-07")
    assert "No slide of these filters has a quality measurement" in texts(alone)


@pytest.mark.usefixtures("empty_home")
def test_nobody_gets_in_without_signing_in(run_alone):
    for page in ("quality.py", "trends.py"):
        at = run_alone(page)
        assert "Sign in first" in at.error[0].value
        assert not at.dataframe


def test_every_slide_of_the_kit_is_measured_or_says_so(cohort):
    rows = quality_table(cohort, actor="clerk (command line)").rows
    assert {row.entry.slide_id for row in rows if row.report is not None} == set(COHORT)
