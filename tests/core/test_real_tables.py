"""Published tables: Olsson's conformal result, agreement of grades and percentages, what flags are worth."""

from __future__ import annotations

import csv
import importlib.util
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from people_kit import CLERK
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from core.agreement.estimates import Bootstrap
from core.agreement.many import fleiss_kappa, gwet_ac1_many
from core.interop.csv_table import read_csv
from core.interop.reads_csv import parse
from core.interop.reads_layout import ReadsMapping
from core.schemes import load_scheme
from core.services.agreement.literature import PUBLISHED_TABLES
from core.services.agreement.of_file import FileAgreement, agreement_of_file
from core.services.agreement.read_tables import AgreementRequest, Duplicates, category_table
from core.services.agreement.view import agreement_input
from core.services.calibration.conformal import conformal_report
from core.services.imports.reads import import_reads

PROJECT = Path(__file__).resolve().parents[2]
QUICK = Bootstrap(replicates=200)


def split(folder: Path, table: Path) -> tuple[Path, Path]:
    """Calibration and test rows of Olsson's table as files."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = []
    for name, kept in (("calibration", "1"), ("test", "0")):
        paths.append(folder / f"{name}.csv")
        with paths[-1].open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row for row in rows if row["calibset"] == kept)
    return paths[0], paths[1]


def agreement(path: Path, **request: object) -> FileAgreement:
    mapping = request.pop("mapping", ReadsMapping())
    return agreement_of_file(path, AgreementRequest(mapping=mapping, bootstrap=QUICK, **request))


def test_the_result_of_olsson_is_reproduced(real_data, tmp_path):
    calibration, test = split(tmp_path, real_data / "prostate" / "model_scores.csv")
    scores = {"label": "cx", "scores": ("pr_ben", "pr_cx")}
    plain = conformal_report(calibration, test, **scores, alpha=0.001, method="plain")
    found = plain.counts
    assert (found.n, found.single, found.single_wrong, found.multiple, found.empty) == (794, 619, 1, 175, 0)
    assert found.point_errors == 14
    assert found.coverage == pytest.approx(793 / 794)
    assert plain.calibration.counts == (471, 366)
    assert len(plain.warnings) == 2
    # 837 calibration cases cannot carry 99.9 % confidence: the valid count decides nothing, and says so.
    valid = conformal_report(calibration, test, **scores, alpha=0.001)
    assert (valid.counts.multiple, valid.counts.coverage) == (794, 1)
    looser = conformal_report(calibration, test, **scores, alpha=0.01)
    assert not looser.warnings
    assert looser.counts.single > 700
    assert min(looser.counts.coverage_by_class) >= 0.98


def test_the_grades_of_olsson_match_their_scores(real_data, tmp_path):
    calibration, test = split(tmp_path, real_data / "prostate" / "model_scores.csv")
    grades = tuple(f"X{grade}" for grade in range(6))
    report = conformal_report(calibration, test, label="ISUP", scores=grades, alpha=0.2)
    assert dict(report.mapping) == {str(grade): f"X{grade}" for grade in range(6)}
    assert report.counts.n == 794
    assert report.counts.coverage >= 0.75


@pytest.mark.parametrize(
    ("name", "fleiss"), [("grade", 0.572), ("tubules", 0.595), ("pleomorphism", 0.393), ("mitoses", 0.487)]
)
def test_nottingham_grades(real_data, name, fleiss):
    path = real_data / "breast_grade" / f"{name}.csv"
    found = agreement(path, scheme=load_scheme("nottingham"))
    facts = found.to_dict()
    assert (facts["n_cases"], facts["n_readers"], facts["n_missing"]) == (70, 9, 0)
    assert found.overall["fleiss_kappa"].value == pytest.approx(fleiss, abs=5e-4)
    statsmodels = pytest.importorskip("statsmodels.stats.inter_rater")
    counts = found.categories.table.counts()
    assert found.overall["fleiss_kappa"].value == pytest.approx(statsmodels.fleiss_kappa(counts))
    for pair in found.categories.pairs[:5]:
        codes = found.categories.table.only([pair.first, pair.second]).codes
        assert pair.statistics["kappa_quadratic"].value == pytest.approx(
            cohen_kappa_score(codes[:, 0], codes[:, 1], weights="quadratic")
        )


def test_nuclear_pleomorphism_is_what_pathologists_agree_on_least(real_data):
    kappas = {
        name: agreement(real_data / "breast_grade" / f"{name}.csv").overall["fleiss_kappa"].value
        for name in ("tubules", "pleomorphism", "mitoses", "grade")
    }
    assert min(kappas, key=kappas.get) == "pleomorphism"
    # Published kappas of the Nottingham grade lie between about .4 and .7.
    assert 0.4 < kappas["grade"] < 0.7


def test_assistance_raises_agreement(real_data):
    alone, helped = (
        agreement(real_data / "prostate" / f"reads_{name}.csv", positive_from="1")
        for name in ("unassisted", "assisted")
    )
    for found in (alone, helped):
        assert (len(found.categories.table.cases), len(found.categories.table.readers)) == (160, 20)
        assert found.categories.table.categories == ("0", "1", "2", "3", "4")
    for name in ("po", "fleiss_kappa", "ac1", "alpha_ordinal", "positive_agreement", "negative_agreement"):
        assert helped.overall[name].value > alone.overall[name].value, name
    assert alone.overall["fleiss_kappa"].high < helped.overall["fleiss_kappa"].low


def test_uropathologists_and_their_consensus(real_data):
    path = real_data / "prostate" / "readers.csv"
    found = agreement(path, mapping=ReadsMapping(case="biopsy", model="MODE"), scheme=load_scheme("isup"))
    table = found.categories.table
    assert (len(table.cases), len(table.readers)) == (87, 14)
    assert set(found.parsed.left_out) == {"cx", "ISUP", "pr_ben", "pr_cx", "slide", *(f"X{i}" for i in range(6))}
    assert found.overall["fleiss_kappa"].value == pytest.approx(0.478, abs=5e-4)
    assert found.overall["mean_kappa_quadratic"].value == pytest.approx(0.810, abs=5e-4)
    model = found.categories.model
    # MODE is the consensus of more readers than the 14 whose reads were published.
    assert model.with_consensus.statistics["po"].value > 0.9
    drift = {profile.reader: profile.drift for profile in found.categories.profiles}
    assert drift["IB3"].high < 0 < drift["IB2"].low


def test_infiltrating_lymphocytes_in_percent_and_in_bins(real_data):
    path = real_data / "til_reads" / "til_reads.csv"
    mapping = ReadsMapping(case="roi", reader="reader", category="til_percent")
    found = agreement(path, mapping=mapping, duplicates=Duplicates.FIRST)
    facts = found.to_dict()
    assert (facts["n_cases"], facts["n_readers"]) == (480, 37)
    assert found.parsed.empty == 1249
    assert found.overall["icc_one_way"].value == pytest.approx(0.700, abs=5e-4)
    assert found.overall["alpha_interval"].value == pytest.approx(found.overall["icc_one_way"].value, abs=0.01)


def test_published_tables_say_what_the_literature_page_says(real_data):
    files = {
        "Breast, Nottingham grade": ("breast_grade/grade.csv", ReadsMapping()),
        "Breast, tubule formation": ("breast_grade/tubules.csv", ReadsMapping()),
        "Breast, nuclear pleomorphism": ("breast_grade/pleomorphism.csv", ReadsMapping()),
        "Breast, mitotic count": ("breast_grade/mitoses.csv", ReadsMapping()),
        "Prostate, grade group, unassisted": ("prostate/reads_unassisted.csv", ReadsMapping()),
        "Prostate, grade group, with a model's assistance": ("prostate/reads_assisted.csv", ReadsMapping()),
        "Prostate, grade group, uropathologists": (
            "prostate/readers.csv",
            ReadsMapping(
                case="biopsy", readers=tuple(f"IB{i}" for i in (1, 2, 3, 4, 5, 8, 9, 11, 12, 13, 14, 16, 20, 21))
            ),
        ),
    }
    assert {one.title for one in PUBLISHED_TABLES} == set(files)
    for one in PUBLISHED_TABLES:
        name, mapping = files[one.title]
        parsed = parse(read_csv(real_data / name), mapping)
        request = AgreementRequest(mapping=mapping)
        table = category_table(parsed, parsed.rows, request)
        assert (len(table.readers), len(table.cases)) == (one.readers, one.cases), one.title
        assert fleiss_kappa(table) == pytest.approx(one.fleiss_kappa, abs=5e-4), one.title
        assert gwet_ac1_many(table) == pytest.approx(one.ac1, abs=5e-4), one.title
        kappas = [
            cohen_kappa_score(table.codes[:, first], table.codes[:, second], weights="quadratic")
            for first, second in combinations(range(len(table.readers)), 2)
        ]
        assert np.mean(kappas) == pytest.approx(one.mean_kappa_quadratic, abs=5e-4), one.title


@pytest.mark.parametrize("name", ["unassisted", "assisted"])
def test_prostate_reads_are_imported_and_analysed(real_data, settings, name):
    """As the log has them, agreement is what the file says; a prefix keeps the two tables' cases apart."""
    path = real_data / "prostate" / f"reads_{name}.csv"
    report = import_reads(
        settings,
        path,
        ReadsMapping(),
        scheme=load_scheme("isup"),
        add_cases=True,
        case_prefix=f"{name}-",
        dry_run=True,
        actor=CLERK,
    )
    assert (report.found, report.added, len(report.cases_added), report.errors) == (3200, 3200, 160, ())
    assert report.cases_added[0] == f"{name}-P001"


def test_nottingham_grades_are_imported_and_analysed(real_data, settings):
    path = real_data / "breast_grade" / "grade.csv"
    report = import_reads(
        settings, path, ReadsMapping(), scheme=load_scheme("nottingham"), add_cases=True, dry_run=False, actor=CLERK
    )
    assert (report.added, report.written) == (630, True)
    found = agreement_input(settings, scheme="nottingham", sources=("grade.csv",), actor=CLERK)
    direct = agreement(path, scheme=load_scheme("nottingham"))
    assert fleiss_kappa(found.table) == pytest.approx(direct.overall["fleiss_kappa"].value)
    assert gwet_ac1_many(found.table) == pytest.approx(direct.overall["ac1"].value)


def test_til_percentages_are_imported_in_bins(real_data, settings):
    path = real_data / "til_reads" / "til_reads.csv"
    mapping = ReadsMapping(case="roi", reader="reader", category="til_percent")
    options = {"scheme": load_scheme("til_bins"), "add_cases": True, "dry_run": True, "actor": CLERK}
    refused = import_reads(settings, path, mapping, **options)
    assert (len(refused.errors), refused.added) == (14, 0)
    assert "already in row" in refused.errors[0].message
    taken = import_reads(settings, path, mapping, duplicates=Duplicates.FIRST, **options)
    assert (taken.found, taken.added, taken.empty, len(taken.cases_added)) == (4896, 4715, 1249, 447)


def test_til_reads_that_differ_between_viewers_are_not_chosen_silently(real_data):
    path = real_data / "til_reads" / "til_reads.csv"
    mapping = ReadsMapping(case="roi", reader="reader", category="til_percent")
    with pytest.raises(ValueError, match="twice with different results"):
        agreement(path, mapping=mapping)


def test_til_region_types_have_no_order(real_data):
    path = real_data / "til_reads" / "til_reads.csv"
    mapping = ReadsMapping(case="roi", reader="reader", category="region_type")
    found = agreement(path, mapping=mapping, duplicates=Duplicates.LAST)
    assert len(found.categories.table.categories) == 4
    assert not found.categories.table.ordinal
    assert found.overall["mean_kappa_linear"].value is None
    assert 0.2 < found.overall["fleiss_kappa"].value < 0.8


def test_calibration_and_ordinal_distance_beat_the_raw_score(real_data, monkeypatch):
    spec = importlib.util.spec_from_file_location("flag_quality", PROJECT / "benchmarks" / "flag_quality.py")
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "flag_quality", benchmark)
    spec.loader.exec_module(benchmark)
    reads = benchmark.load(real_data / "prostate" / "readers.csv")
    assert len(reads.case) == 1171
    steps = np.abs(reads.grade - reads.others)
    size = len(benchmark.SCHEME.codes)
    losses = {"differs": benchmark.difference_loss(size), "far": (benchmark.distance_loss(size) > 1).astype(float)}
    raw = benchmark.scores_of(reads, loss=None, calibrated=False, seed=0)
    better = {name: benchmark.scores_of(reads, loss=loss, calibrated=True, seed=0) for name, loss in losses.items()}
    assert roc_auc_score(steps > 0, raw) == pytest.approx(0.791, abs=5e-4)
    assert roc_auc_score(steps > 0, better["differs"]) > 0.80
    assert roc_auc_score(steps > 1, raw) == pytest.approx(0.794, abs=5e-4)
    assert roc_auc_score(steps > 1, better["far"]) > 0.91
