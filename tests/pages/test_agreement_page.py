"""The agreement page: numbers with their n, views, pseudonyms, blinded cases left out, tables of one's own."""

from __future__ import annotations

import json
import time

import pytest
from people_kit import CLERK, enrol

from core.domain import ReadCategory
from core.interop.reads_layout import ReadsMapping
from core.roles import Role
from core.services.agreement.view import agreement_choices, agreement_input
from core.services.cases import review
from core.services.consultations import consult
from core.services.consultations.answers import Answer
from core.services.imports.reads import import_reads
from core.vocabulary import Blinding, ConsultationType
from pages.parts.agreement import source as agreement_source

VIEWS = ("All readers", "Reader by reader", "Cases", "Each reader", "Before and after the model", "Literature")
WIDE = "case,reader_1,reader_2,reader_3\n" + "".join(
    f"W{number},{number % 3 + 1},{(number + number % 2) % 3 + 1},{number % 3 + 1}\n" for number in range(12)
)


@pytest.fixture
def several(home, tmp_path):
    """Reads of three imported readers, and of two people who were here."""
    path = tmp_path / "wide.csv"
    rows = "".join(f"W{number},{number % 2},{number % 2},{(number // 2) % 2}\n" for number in range(10))
    path.write_text("case,A,B,C\n" + rows.replace(",0", ",benign").replace(",1", ",malignant"))
    made = import_reads(home, path, ReadsMapping(readers=("A", "B", "C")), add_cases=True, dry_run=False, actor=CLERK)
    assert made.written
    enrol(home, "ann", roles=(Role.PATHOLOGIST,))
    review.record_read(home, "MISSED", Answer(category=ReadCategory.MALIGNANT), actor="ann")
    return home


def figures(at):
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def metrics(at):
    return {one.label: one.value for one in at.metric}


@pytest.mark.usefixtures("home")
def test_nothing_to_compare_says_what_to_do(open_page, texts):
    at = open_page("agreement.py")
    assert not at.exception
    assert "Agreement needs two." in texts(at)
    assert not at.get("plotly_chart")


@pytest.mark.usefixtures("several")
def test_every_view_and_its_numbers(open_page, texts):
    at = open_page("agreement.py", role=Role.LEAD)
    assert metrics(at) == {"Cases": "12", "Readers": "5", "Reads missing": "27", "Calls of the model": "2"}
    assert "1000 resamples" in texts(at)
    for view in VIEWS[1:]:
        at.segmented_control(key="view").set_value(view).run()
        assert not at.exception, view
    at.segmented_control(key="view").set_value("Reader by reader").run()
    (heat,) = [trace for trace in figures(at)[0]["data"] if trace["type"] == "heatmap"]
    names = ["A", "B", "C", "Another Reader", "ann", "model"]
    assert sorted(figures(at)[0]["layout"]["xaxis"]["ticktext"]) == sorted(names)
    place = {name: index for index, name in enumerate(figures(at)[0]["layout"]["xaxis"]["ticktext"])}
    low, high = sorted((place["A"], place["B"]))
    assert (heat["text"][high][low], heat["text"][low][high]) == ("1.00", "1.00"), "kappa below, AC1 above"
    assert "n 10 cases" in heat["customdata"][high][low]
    at.segmented_control(key="agreement_reads").set_value(agreement_source.Reads.AFTER).run()
    assert "Fewer than two readers" in texts(at)


def test_results_are_kept_by_their_content(several, open_page, monkeypatch):
    counted = []
    found = agreement_source.view_of
    monkeypatch.setattr(agreement_source, "view_of", lambda gathered: counted.append(1) or found(gathered))
    agreement_source._of_log.clear()
    at = open_page("agreement.py", role=Role.LEAD)
    start = time.perf_counter()
    at.segmented_control(key="view").set_value("Cases").run()
    open_page("agreement.py", role=Role.LEAD)
    assert counted == [1]
    assert time.perf_counter() - start < 20
    review.record_read(several, "AGREED", Answer(category=ReadCategory.BENIGN), actor="ann")
    at.run()
    assert counted == [1, 1], "another read is another content"


def test_names_of_others_and_blinded_cases(several, open_page, texts):
    consult.request(
        several,
        "MISSED",
        consultant="Ada Reader (demonstration)",
        type=ConsultationType.DOUBLE_REPORT,
        question="Invasion?",
        blinding=Blinding.FULL,
        actor="ann",
    )
    at = open_page("agreement.py")
    assert metrics(at)["Cases"] == "11", "the case on which an opinion of hers is awaited is left out"
    assert "Cases left out: 1" in texts(at)
    at.segmented_control(key="view").set_value("Each reader").run()
    shown = str([frame.value.to_dict() for frame in at.dataframe])
    assert "reader 1" in shown
    assert "Another Reader" not in shown
    assert "ann" not in shown.replace("and", "")


def test_sources_are_kept_apart(several):
    choices = agreement_choices(several, actor=CLERK)
    assert choices.sources == (("recorded here", 3), ("wide.csv", 30))
    only = agreement_input(several, sources=("wide.csv",), actor=CLERK)
    assert (len(only.table.cases), only.table.readers, only.model) == (10, ("A", "B", "C"), None)
    everything = agreement_input(several, actor=CLERK)
    assert everything.digest != only.digest
    assert everything.digest == agreement_input(several, actor=CLERK).digest


def test_tables_of_ones_own_are_compared_and_not_kept(home, open_page):
    at = open_page("agreement.py", reads_of="Tables of mine")
    other = WIDE.replace("W", "V")
    at.file_uploader[0].set_value([("one.csv", WIDE.encode(), "text/csv"), ("two.csv", other.encode(), "text/csv")])
    at.run()
    assert not at.exception
    assert metrics(at)["Cases"] == "12"
    (table,) = [frame.value for frame in at.dataframe if "Statistic" in frame.value]
    assert {"Value", "two.csv"} <= set(table.columns)
    assert table["Value"].iloc[0] == pytest.approx(2 / 3, abs=0.35)
    assert agreement_choices(home, actor=CLERK).sources == (("recorded here", 2),)
