"""`second-read evaluate`: on patches of every awkward kind, and on slides with and without a result."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from command_kit import second_read
from evaluation_kit import add_run, add_slide
from people_kit import CLERK, enrol
from PIL import Image

from core.domain import ReadCategory, SlideStatus
from core.services.cases import review
from core.services.evaluation import patches as evaluate
from core.services.evaluation.patches import CLASSIFIERS, evaluate_patches
from core.services.evaluation.slides import evaluate_slides, rule_figures, sentence_of, to_json
from core.settings import Settings
from models.cards import load_card

PROMISED = {*CLASSIFIERS, "confusion", "n_patients", "n_patches", "intervals", "baselines"}


def write_patch(
    root: Path, *, patient: str = "9001", label: int = 0, x: int = 51, size: tuple[int, int] = (50, 50)
) -> Path:
    """A pale (0) or dark violet (1) textured patch in the Kaggle layout; size is (width, height)."""
    random = np.random.default_rng([int(patient), label, x])
    colour = np.array([(220, 180, 205), (120, 70, 140)][label])
    pixels = (colour + random.normal(0, 25, (size[1], size[0], 3))).clip(0, 255).astype(np.uint8)
    path = root / patient / str(label) / f"{patient}_idx5_x{x}_y51_class{label}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three patients, each with four pale and two dark patches."""
    root = tmp_path / "patches"
    for patient in ("9001", "9002", "9003"):
        for index in range(6):
            write_patch(root, patient=patient, label=int(index > 3), x=51 + 50 * index)
    return root


def test_the_figures_are_those_of_the_confusion_and_carry_intervals(folder: Path) -> None:
    found = second_read("evaluate", "patches", "--model", "idc", "--data", folder, "--json", "--device", "cpu").only
    assert set(found) >= PROMISED
    assert (found["n_patients"], found["n_patches"], found["n_positive"]) == (3, 18, 6)
    counts = found["confusion"]
    hit, alarm = counts["true_positive"], counts["false_positive"]
    passed, missed = counts["true_negative"], counts["false_negative"]
    assert (hit + missed, alarm + passed) == (6, 12)
    assert found["sensitivity"] == pytest.approx(hit / 6, abs=1e-4)
    assert found["specificity"] == pytest.approx(passed / 12, abs=1e-4)
    assert found["balanced_accuracy"] == pytest.approx((hit / 6 + passed / 12) / 2, abs=1e-4)
    assert found["f1"] == pytest.approx(2 * hit / (2 * hit + alarm + missed), abs=1e-4)
    for name in CLASSIFIERS:
        if found[name] is not None:
            assert found["intervals"][name]["low"] <= found[name] <= found["intervals"][name]["high"]
    assert found["baselines"]["darkness"]["auc"] == 1  # darkness is all that there is in these patches
    always = found["baselines"]["always_negative"]
    assert (always["accuracy"], always["balanced_accuracy"]) == (pytest.approx(2 / 3, abs=1e-4), 0.5)
    assert found["threshold"] == load_card("idc").threshold


@pytest.mark.parametrize(("label", "kept"), [(0, "specificity"), (1, "sensitivity")])
def test_one_class_alone_gives_null_with_a_reason_where_both_are_needed(tmp_path: Path, label: int, kept: str) -> None:
    for x in (51, 101):
        write_patch(tmp_path, label=label, x=x)
    done = second_read("evaluate", "patches", "--data", tmp_path, "--json", "--device", "cpu")
    assert done.code == 0, done
    found = done.only
    for name in ("auc", "auprc", "balanced_accuracy", "f1", "ppv", "npv"):
        assert found[name] is None
        assert found["intervals"][name] is None
        assert ("negative" if label else "positive") in found["undefined"][name]
    assert 0 <= found[kept] <= 1
    assert 0 <= found["ece"] <= 1
    assert found["baselines"]["darkness"]["auc"] is None
    told = second_read("evaluate", "patches", "--data", tmp_path, "--device", "cpu")
    assert "auc                undefined: The folder holds no" in told.out


def test_corrupt_files_are_named_and_the_others_measured(folder: Path) -> None:
    broken = write_patch(folder, patient="9004", label=1)
    broken.write_bytes(broken.read_bytes()[:60])
    text = folder / "9004" / "0" / "9004_idx5_x1_y1_class0.png"
    text.parent.mkdir()
    text.write_text("no picture")
    done = second_read("evaluate", "patches", "--data", folder, "--json", "--device", "cpu")
    assert done.code == 3
    assert (done.only["n_patches"], done.only["n_patients"]) == (18, 3)
    assert [sorted((broken.name in line, text.name in line)) for line in done.only["unreadable"]] == [[False, True]] * 2
    assert broken.name in done.err
    assert text.name in done.err


def test_small_patches_are_padded_as_at_a_slides_edge(tmp_path: Path) -> None:
    write_patch(tmp_path, label=0, size=(50, 31))
    write_patch(tmp_path, label=1, size=(12, 50))
    found = second_read("evaluate", "patches", "--data", tmp_path, "--json", "--device", "cpu").only
    assert found["n_patches"] == 2


@pytest.mark.parametrize("what", ["empty", "absent", "only_corrupt", "other_names"])
def test_nothing_to_measure_is_one_sentence(tmp_path: Path, what: str) -> None:
    root = tmp_path / "data"
    if what != "absent":
        root.mkdir()
    if what == "only_corrupt":
        write_patch(root).write_bytes(b"")
    if what == "other_names":
        (root / "p" / "0").mkdir(parents=True)
        (root / "p" / "0" / "some.png").write_bytes(b"")
    sentence = second_read("evaluate", "patches", "--data", root, "--json", "--device", "cpu").refusal()
    assert str(root) in sentence


def test_an_unknown_model_is_refused_by_name(folder: Path) -> None:
    assert "nosuch" in second_read("evaluate", "patches", "--model", "nosuch", "--data", folder).refusal()


def test_the_layout_of_two_classes_is_refused_for_a_model_of_three(folder: Path) -> None:
    assert "class_group" in second_read("evaluate", "patches", "--model", "lung", "--data", folder).refusal()


def test_three_classes_are_measured_one_by_one_and_a_missing_folder_is_no_obstacle(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("lung_n", "lung_scc"):
        (tmp_path / name / "g1").mkdir(parents=True)
        for index in range(2):
            pixels = random.integers(0, 255, (224, 224, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / "g1" / f"{index}.jpeg")
    found = evaluate_patches("lung", tmp_path, layout="class_group", device="cpu", draws=20).to_json()
    assert (found["n_patches"], found["n_positive"], found["n_patients"]) == (4, 2, 2)
    classes = found["classes"]
    assert isinstance(classes, dict)
    assert classes["auc_lung_aca"] is None
    assert classes["auc_lung_n"] is not None
    table = found["confusion_of_classes"]
    assert isinstance(table, dict)
    assert [sum(row) for row in table["rows_are_truth"]] == [2, 0, 2]


def test_the_baseline_is_given_the_best_threshold_of_the_very_patches() -> None:
    images = np.full((4, 8, 8, 3), 255, np.uint8)
    images[2:, ..., 0] = [[[100]], [[50]]]
    truth = np.array([False, False, True, True])
    patches = evaluate.Patches(images, truth.astype(np.int64), tuple("abcd"), ("a", "b"), "0" * 64)
    found = evaluate.darkness_baseline(truth, patches)
    assert (found["auc"], found["balanced_accuracy"], found["f1"]) == (1, 1, 1)


# -------------------------------------------------------------------------------------------------------------- slides


@pytest.fixture
def analysed(settings: Settings, tmp_path: Path) -> Settings:
    """Two slides with tumour, one of them missed; two without; one without a result and one never labelled."""
    files = tmp_path / "slides"
    files.mkdir()
    for name, outline, score in (
        ("hit", "Tumor", 0.95),
        ("missed", "Tumor", 0.4),
        ("clear", "Artefact: fold", 0.3),
        ("alarm", "Artefact: fold", 0.5),
        ("unlabelled", None, 0.1),
    ):
        add_run(settings, add_slide(settings, files, name, outline=outline), score)
    add_run(settings, add_slide(settings, files, "empty", outline="Tumor"), 0, status=SlideStatus.NO_TISSUE)
    return settings


def test_slides_against_the_outlines_beside_them(analysed: Settings) -> None:
    found = evaluate_slides(analysed, reference="truth", actor=CLERK)
    assert (found.n_slides, found.n_cases, found.n_positive) == (4, 4, 2)
    rules = rule_figures(found)
    assert rules["top_k_mean"]["auc"].value == 0.75  # 0.95 beats both, 0.4 only 0.3
    assert rules["top_k_mean"]["sensitivity"].value == 0.5
    assert rules["top_k_mean"]["specificity"].value == 1
    assert rules["mean"]["auc"].value == 0.5
    assert found.left_out.without_result == {"empty": "There is no tissue."}
    assert list(found.left_out.without_label) == ["unlabelled"]
    assert "empty" in sentence_of(found)
    tiles = to_json(found)["tiles"]
    assert isinstance(tiles, dict)
    assert (tiles["n_tiles"], tiles["n_positive"], tiles["n_slides"]) == (32, 8, 4)
    # 8 tumour tiles at 0.9 against 8 others at 0.9 (slides without tumour) and 16 at 0.2
    assert tiles["auc"]["value"] == pytest.approx((8 * 16 + 8 * 8 / 2) / (8 * 24), abs=1e-4)
    assert tiles["auc"]["low"] <= tiles["auc"]["value"] <= tiles["auc"]["high"]


def test_the_command_prints_every_figure_with_its_interval_and_counts_cases_too(analysed: Settings) -> None:
    done = second_read("evaluate", "slides", "--reference", "truth", "--home", analysed.home, "--json")
    assert done.code == 0, done
    found = done.only
    assert found["confusion"] == {"true_positive": 1, "false_positive": 0, "true_negative": 2, "false_negative": 1}
    assert found["auc"]["low"] <= found["auc"]["value"] == 0.75 <= found["auc"]["high"]
    assert found["baselines"]["always_negative"]["auc"] is None
    assert found["baselines"]["always_negative"]["accuracy"] == 0.5
    assert len(found["data_sha256"]) == 64
    by_case = second_read(
        "evaluate", "slides", "--reference", "truth", "--by", "case", "--home", analysed.home, "--json"
    )
    assert by_case.only["unit"] == "case"
    assert "empty" in by_case.only["without_result"]
    told = second_read("evaluate", "slides", "--reference", "truth", "--home", analysed.home).out
    assert "1 hits, 1 missed, 0 false alarms, 2 rightly passed" in told
    assert "beside it, darkness" in told


def test_slides_by_the_command_against_a_table(analysed: Settings, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("slide_id", "label"), ("hit", 1), ("clear", 0), ("empty", 1)])
    done = second_read("evaluate", "slides", "--reference", table, "--home", analysed.home, "--json")
    assert done.code == 0, done
    found = done.only
    assert found["n_slides"] == 2
    assert found["aggregations"]["top_k_mean"]["auc"]["value"] == 1
    assert found["threshold_is_for"] == "top_k_mean"
    assert set(found["without_label"]) == {"missed", "alarm", "unlabelled"}
    told = second_read("evaluate", "slides", "--reference", table, "--home", analysed.home)
    assert "No result: empty" in told.out


def test_slides_against_reads_use_those_given_before_the_model(analysed: Settings) -> None:
    enrol(analysed, "lead")
    for case, category in (("hit", ReadCategory.MALIGNANT), ("alarm", ReadCategory.BENIGN)):
        review.record_diagnosis(analysed, case, category=category, confidence=4, actor="lead")
    found = evaluate_slides(analysed, reference="reads", actor=CLERK)
    assert (found.n_slides, found.n_positive) == (2, 1)
    assert "reads" in found.reference


def test_no_slide_with_result_and_label_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    add_slide(settings, tmp_path, "alone", outline="Tumor")
    sentence = second_read("evaluate", "slides", "--reference", "truth", "--home", settings.home).refusal()
    assert "Analyse the slides first" in sentence
