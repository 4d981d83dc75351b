"""The statistics and import commands as a user runs them; nothing half-imported, nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_kit import Done, second_read
from store_kit import add_slide, run_of, save

from core.domain import FlagKind, ReadCategory
from core.errors import InputError, NotAllowedError
from core.interop.reads_layout import ReadsMapping
from core.schemes import load_scheme
from core.services.cases.worklist import case_detail
from core.services.catalogue import verify_log
from core.services.imports.reads import import_reads
from core.settings import Settings
from core.store import imports
from core.store.connection import open_log
from core.store.records import ReadStage
from core.vocabulary import ReadRole

IMPORTER = "importer (command line)"
WIDE = "case,reader_1,reader_2\nA,1,2\nB,3,3\nC,2,\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reads.csv"
    path.write_text(WIDE)
    return path


def scores(tmp_path: Path, name: str, rows: int = 40) -> Path:
    path = tmp_path / name
    lines = [f"{i % 2},{0.9 - 0.8 * (i % 2) + i / 1000:.3f},{0.1 + 0.8 * (i % 2) - i / 1000:.3f}" for i in range(rows)]
    path.write_text("\n".join(["cx,pr_ben,pr_cx", *lines]) + "\n")
    return path


def conformal(tmp_path: Path, *more: str) -> Done:
    tables = ("--calibration", scores(tmp_path, "a.csv"), "--test", scores(tmp_path, "b.csv", rows=20))
    return second_read("conformal", *tables, "--label", "cx", "--scores", "pr_ben,pr_cx", *more)


def table_rows(settings: Settings, name: str) -> int:
    with open_log(settings) as database:
        return int(database.conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608


def take_in(settings: Settings, path: Path, **options: object):
    given = {"mapping": ReadsMapping(), "scheme": load_scheme("nottingham"), "add_cases": True, "dry_run": False}
    return import_reads(settings, path, **({"actor": IMPORTER} | given | options))


def test_conformal_prints_the_counts(tmp_path):
    found = conformal(tmp_path, "--alpha", "0.1", "--json").only
    assert {"n", "single", "single_wrong", "multiple", "empty", "point_errors", "coverage"} <= set(found)
    assert (found["n"], found["method"], found["alpha"]) == (20, "valid", 0.1)
    assert found["single"] + found["multiple"] + found["empty"] == 20
    assert found["classes"] == {"0": "pr_ben", "1": "pr_cx"}
    assert found["warnings"] == []


def test_conformal_warns_where_the_calibration_is_too_small(tmp_path):
    done = conformal(tmp_path, "--alpha", "0.001", "--method", "plain")
    assert done.code == 0
    assert "20 calibration cases; an error rate of 0.001 needs at least 999" in done.err
    assert "20 cases at 0.999 confidence (plain count" in done.out


def test_conformal_refuses_to_guess(tmp_path):
    words = tmp_path / "w.csv"
    words.write_text("y,a,b\nno,0.9,0.1\nyes,0.2,0.8\n")
    arguments = ("conformal", "--calibration", words, "--test", words, "--label", "y", "--scores", "a,b")
    assert "--classes" in second_read(*arguments).refusal()
    assert second_read(*arguments, "--classes", "no,yes", "--json").only["point_errors"] == 0
    assert second_read(*arguments, "--classes", "yes,no", "--json").only["point_errors"] == 2
    assert "Give two or more" in second_read(*arguments[:-2], "--scores", "a").refusal()
    assert "no column 'z'" in second_read(*arguments[:-2], "--scores", "a,z").refusal()
    assert "Alpha" in second_read(*arguments, "--classes", "no,yes", "--alpha", "2").refusal()


def test_agreement_prints_everything(table):
    found = second_read("agreement", table, "--id", "case", "--json").only
    assert (found["n_cases"], found["n_readers"], found["n_missing"]) == (3, 2, 1)
    assert found["overall"]["po"]["value"] == 0.5
    assert found["overall"]["po"]["reason"] == "3 cases are too few for an interval."
    assert found["pairs"][0]["n_cases"] == 2
    assert found["cases"][0]["counts"] == {"1": 1, "2": 1, "3": 0}
    assert "bootstrap over cases, 1000 resamples, seed 0" in found["intervals"]
    text = second_read("agreement", table).out
    assert "3 cases, 2 readers, 1 reads missing (wide table)" in text
    assert "fleiss_kappa" in text


def test_agreement_of_named_categories(tmp_path):
    path = tmp_path / "named.csv"
    path.write_text(
        "case,ann,bob,model\n" + "".join(f"C{i},{'low' if i % 2 else 'high'},low,high\n" for i in range(10))
    )
    without = second_read("agreement", path, "--json").only
    assert (without["ordinal"], without["n_readers"]) == (False, 3)
    ordered = second_read("agreement", path, "--categories", "low,high", "--model", "model", "--json").only
    assert (ordered["categories"], ordered["ordinal"], ordered["n_readers"]) == (["low", "high"], True, 2)
    assert ordered["model"]["name"] == "model"
    assert ordered["overall"]["positive_agreement"]["value"] == 0
    assert "none of" in second_read("agreement", path, "--scheme", "isup").refusal()
    assert "no reading scheme 'x'" in second_read("agreement", path, "--scheme", "x").refusal()
    assert "has no reads of 'eve'" in second_read("agreement", path, "--reference", "eve").refusal()


def test_agreement_before_and_after_the_model(tmp_path):
    path = tmp_path / "long.csv"
    rows = ["case,reader,category,stage"]
    for i in range(12):
        truth, model = ("2", "1") if i < 4 else ("2", "2")
        rows += [f"C{i},gold,{truth},", f"C{i},model,{model},"]
        # Right before on every case; misled on one of the four on which the model is wrong.
        rows += [f"C{i},ann,2,before_model", f"C{i},ann,{1 if i == 0 else 2},after_model"]
        rows += [f"C{i},bob,1,before_model", f"C{i},bob,{model},after_model"]
    path.write_text("\n".join(rows))
    options = ("--model", "model", "--reference", "gold", "--stage", "stage", "--json")
    found = second_read("agreement", path, *options).only
    assert found["readers"] == ["ann", "bob"]
    influence = found["influence_of_model"]
    assert influence["automation_bias"]["value"] == 0.25
    assert influence["helped"]["value"] == 1
    assert influence["changed"]["value"] == pytest.approx(9 / 24)
    assert found["overall"]["po"]["value"] == 0


def test_agreement_of_numbers_and_bins(tmp_path):
    path = tmp_path / "numbers.csv"
    lines = [f"C{i},{5 * i + 0.5},{5 * i}" for i in range(12)]
    path.write_text("\n".join(["case,ann,bob", *lines]))
    options = ("--readers", "ann,bob", "--json")
    found = second_read("agreement", path, *options).only
    assert found["categories"] is None
    assert found["overall"]["icc_two_way"]["value"] > 0.99
    binned = second_read("agreement", path, *options, "--bins", "10,40").only
    assert binned["categories"] == ["<10", "10 to <40", ">=40"]
    assert binned["overall"]["po"]["value"] == 1
    assert "edges are numbers" in second_read("agreement", path, "--bins", "a").err


def test_a_bad_row_is_named(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("case,ann,bob\nA,1,7\nB,2,2\n")
    assert "Row 2, column bob: '7' is none of" in second_read("agreement", path, "--scheme", "nottingham").refusal()


def test_an_import_is_dry_then_done_then_known(settings, table):
    arguments = ("import-reads", table, "--scheme", "nottingham", "--home", settings.home)
    refused = second_read(*arguments, "--json")
    assert refused.code == 2
    assert [error["row"] for error in refused.only["errors"]] == [2, 3, 4]
    dry = second_read(*arguments, "--add-cases", "--dry-run", "--json").only
    assert (dry["added"], dry["written"], dry["cases_added"]) == (5, False, ["A", "B", "C"])
    assert table_rows(settings, "diagnoses") == table_rows(settings, "cases") == 0
    done = second_read(*arguments, "--add-cases", "--json").only
    assert (done["added"], done["written"], done["empty"]) == (5, True, 1)
    events = table_rows(settings, "events")
    again = second_read(*arguments, "--add-cases", "--json").only
    assert (again["added"], again["known"], again["written"]) == (0, 5, False)
    assert (table_rows(settings, "diagnoses"), table_rows(settings, "events")) == (5, events)
    assert verify_log(settings).ok


def test_what_an_imported_read_carries(settings, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(
        "case,reader,category,confidence,stage,when,blind,note\n"
        "A,ann,G2,4,before_model,2026-05-31T14:05:00Z,yes,first look\n"
        "A,bob,indeterminate,,after_model,,no,\n"
    )
    mapping = ReadsMapping(stage="stage", submitted_at="when", blinded="blind", text="note")
    assert take_in(settings, path, mapping=mapping).added == 2
    first, second = case_detail(settings, "A").diagnoses
    assert (first.reader, first.role, first.category, first.code) == (
        "ann",
        ReadRole.PRIMARY,
        ReadCategory.MALIGNANT,
        "2",
    )
    assert (first.scheme, first.ordinal, first.grade, first.confidence) == ("nottingham", 1, "Grade 2", 4)
    assert (first.blinded_to_model, first.text, first.source) == (True, "first look", "long.csv")
    assert first.submitted_at.isoformat() == "2026-05-31T14:05:00+00:00"
    assert (second.role, second.code, second.ordinal, second.stage) == (
        ReadRole.SECOND, "indeterminate", None, ReadStage.AFTER_MODEL,
    )  # fmt: skip


def test_one_bad_row_and_nothing_is_imported(settings, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("case,reader_1,reader_2\nA,1,2\nB,9,3\n")
    report = take_in(settings, path)
    assert [(error.row, error.column) for error in report.errors] == [(3, "reader_1")]
    assert not report.written
    assert [table_rows(settings, name) for name in ("cases", "diagnoses", "events")] == [0, 0, 0]


def test_an_import_that_breaks_off_leaves_nothing(settings, table, monkeypatch):
    calls = []

    def breaks(*arguments: object, **_named: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("core.services.imports.reads.refresh_flags_in", breaks)
    with pytest.raises(KeyboardInterrupt):
        take_in(settings, table)
    assert [table_rows(settings, name) for name in ("cases", "diagnoses", "events")] == [0, 0, 0]


def test_a_correction_in_the_file_supersedes_and_both_stay(settings, table):
    take_in(settings, table)
    table.write_text(WIDE.replace("A,1,2", "A,3,2"))
    report = take_in(settings, table)
    assert (report.added, report.known) == (1, 4)
    mine = [read for read in case_detail(settings, "A").diagnoses if read.reader == "reader_1"]
    assert [(read.code, read.supersedes) for read in mine] == [("1", None), ("3", mine[0].diagnosis_id)]


def test_the_same_read_twice_in_a_file_counts_once_and_a_contradiction_is_refused(settings, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("case,reader,category\nA,ann,1\nA,ann,1\n")
    assert (take_in(settings, path).added, table_rows(settings, "diagnoses")) == (1, 1)
    path.write_text("case,reader,category\nB,ann,1\nB,ann,2\n")
    (error,) = take_in(settings, path).errors
    assert error.message == "ann read case B already in row 2, with another result."


def test_an_import_never_supersedes_what_a_person_recorded_here(settings, tmp_path):
    from core.services.cases import review

    slide_id = add_slide(settings, "a", case_id="A")
    save(settings, run_of(slide_id, score=0.95))
    review.record_diagnosis(settings, "A", category=ReadCategory.BENIGN, actor="ann")
    path = tmp_path / "long.csv"
    path.write_text("case,reader,category\nA,ann,malignant\n")
    (error,) = take_in(settings, path, scheme=None).errors
    assert "never supersedes" in error.message
    path.write_text("case,reader,category\nA,bob,malignant\n")
    assert take_in(settings, path, scheme=None, role=ReadRole.SECOND).added == 1
    detail = case_detail(settings, "A")
    assert detail.case.diagnosis is ReadCategory.BENIGN
    assert [flag.kind for flag in detail.flags] == [FlagKind.MODEL_HIGHER, FlagKind.READER_DISAGREEMENT]


def test_who_may_not_import(settings, table):
    with pytest.raises(NotAllowedError, match="import reads"):
        take_in(settings, table, actor="nobody at all")
    assert table_rows(settings, "cases") == 0


def test_predictions_of_other_systems(settings, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("case,pr_ben,pr_cx\nA,0.2,0.8\nB,0.9,0.1\n")
    arguments = ("import-predictions", path, "--system", "other", "--home", settings.home, "--add-cases", "--json")
    wide = (*arguments, "--scores", "pr_ben,pr_cx", "--classes", "benign,cancer")
    assert second_read(*wide, "--system-version", "1", "--dry-run").only["added"] == 2
    assert table_rows(settings, "imported_predictions") == 0
    assert second_read(*wide, "--system-version", "1").only["written"]
    again = second_read(*wide, "--system-version", "1").only
    assert (again["added"], again["known"]) == (0, 2)
    assert second_read(*wide, "--system-version", "2").only["added"] == 2
    with open_log(settings) as database:
        first, second = imports.predictions_of_case(database, "A")
    assert dict(first.probabilities) == {"benign": 0.2, "cancer": 0.8}
    assert (first.system, first.system_version, second.system_version) == ("other", "1", "2")
    assert verify_log(settings).ok
    path.write_text("case,pr_ben,pr_cx\nA,0.2,0.8\nZ,0.9,7\n")
    refused = second_read(*wide, "--system-version", "3")
    assert refused.code == 2
    assert table_rows(settings, "imported_predictions") == 4


def test_a_changed_prediction_breaks_the_log(settings, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("case,p\nA,0.2\n")
    options = ("--system", "o", "--system-version", "1", "--scores", "p", "--add-cases", "--home", settings.home)
    assert second_read("import-predictions", path, *options).code == 0
    with open_log(settings) as database:
        database.conn.execute("DROP TRIGGER imported_predictions_no_update")
        database.conn.execute("UPDATE imported_predictions SET probabilities = '{\"p\":0.9}'")
    found = verify_log(settings)
    assert not found.ok
    assert "imported_prediction" in found.message


def test_the_json_has_no_nan(tmp_path):
    path = tmp_path / "same.csv"
    path.write_text("case,ann,bob\n" + "".join(f"C{i},1,1\n" for i in range(8)))
    done = second_read("agreement", path, "--json")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    facts = json.loads(done.out, parse_constant=refuse)
    assert facts["overall"]["mean_kappa"]["value"] is None
    with pytest.raises(InputError, match="cannot be read"):
        take_in(Settings(home=tmp_path / "h"), tmp_path / "missing.csv")
