"""The comparison table: what it says is what the stored predictions give, and what is missing is said to be missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.cards import SHIPPED
from models.data.patches import Patches
from models.data.splits import Split
from models.evaluation.comparison import BALANCES, CELLS, RECIPES, RESULTS, cell_config, table
from models.evaluation.comparison_table import MARKERS, markdown, replace_between, rows_of
from models.evaluation.cross_validation import OutOfFold
from models.evaluation.stored import read_cell, read_patients, write_cell, write_patients
from models.training.config import read_config

README = SHIPPED / "README.md"
MOST_BYTES = 1_000_000


def test_the_table_in_the_readme_is_what_the_stored_predictions_give() -> None:
    text = README.read_text(encoding="utf-8")
    begin, end = MARKERS
    assert text.split(begin)[1].split(end)[0].strip() == table().strip()


def test_every_cell_is_either_in_the_table_or_said_to_be_missing() -> None:
    rows, missing = rows_of(RESULTS, CELLS, draws=2)
    assert {row.name for row in rows} - {"darkness"} | set(missing) == set(CELLS)
    assert ("Not computed" in README.read_text(encoding="utf-8")) == bool(missing)


def test_stored_predictions_are_small_and_of_every_patch() -> None:
    assert sum(path.stat().st_size for path in RESULTS.iterdir()) < MOST_BYTES
    patients = read_patients(RESULTS)
    assert len(np.unique(patients.groups)) == 223
    for fold in np.unique(patients.fold):  # a patient is measured in one fold only
        inside = patients.fold == fold
        assert not set(patients.groups[inside]) & set(patients.groups[~inside])
    for name in CELLS:
        cell = read_cell(RESULTS, name)
        assert cell is None or len(cell.probability) == len(patients.truth) == 8200


def test_the_stored_patients_are_those_of_the_data(real_data: Path) -> None:
    patients = read_patients(RESULTS)
    files = sorted((real_data / "idc").glob("*/*/*.png"))
    assert [file.parent.parent.name for file in files] == patients.groups.tolist()
    assert [file.parent.name == "1" for file in files] == patients.truth.tolist()


def test_cells_differ_in_network_and_balance_alone() -> None:
    base = read_config(SHIPPED / "configs" / "idc.toml")
    assert set(CELLS) == {f"{network}-{balance}" for network in RECIPES for balance in BALANCES}
    assert set(RECIPES) == {"alexnet", "resnet18", "densenet121"}
    weighted, plain = cell_config(base, "resnet18", "weighted"), cell_config(base, "resnet18", "none")
    assert (weighted.balance, weighted.balance_cost) == ("weighted", 5)
    assert (plain.balance, plain.balance_cost, plain.start) == ("none", None, "none")
    assert (weighted.epochs, weighted.seed, weighted.augmentation) == (plain.epochs, plain.seed, plain.augmentation)
    shares = {name: cell_config(base, "alexnet", name).positive_share for name in ("share25", "share50", "share75")}
    assert shares == {"share25": 0.25, "share50": 0.5, "share75": 0.75}


# ---------------------------------------------------------------------------------------------------------- made cells


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Forty patients with ten patches; a careful network that misses nothing much, and an accurate one that misses."""
    random = np.random.default_rng(1)
    truth = random.random(400) < 0.2
    groups = tuple(f"p{index // 10:02}" for index in range(400))
    images = np.full((400, 4, 4, 3), 200, np.uint8)
    patches = Patches(images, truth.astype(np.int64), groups, ("a", "b"), "0" * 64)
    names = sorted(set(groups))
    splits = (
        Split(tuple(names[:15]), tuple(names[15:20]), tuple(names[20:])),
        Split(tuple(names[20:35]), tuple(names[35:]), tuple(names[:20])),
    )
    write_patients(patches, splits, positive=(1,), folder=tmp_path)
    fold = np.where(patches.of_groups(splits[0].test), 0, 1)
    timid = np.where(truth, np.where(random.random(400) < 0.5, 0.8, 0.3), 0.1)
    eager = np.where(truth, 0.9, np.where(random.random(400) < 0.3, 0.7, 0.1))
    for name, probability in (("resnet18-none", timid), ("resnet18-share50", eager)):
        found = OutOfFold(probability, fold, (0.5, 0.5), 100.0, 5.0, train_seconds=60.0, best_epochs=(1, 2))
        write_cell(found, tmp_path, name)
    return tmp_path


def test_accuracy_and_cost_order_the_made_networks_differently(results: Path) -> None:
    rows, missing = rows_of(results, ("resnet18-none", "resnet18-share50", "alexnet-none"), draws=10)
    assert missing == ["alexnet-none"]
    timid, eager = rows[1], rows[2]
    assert timid.plain["accuracy"] > eager.plain["accuracy"]
    assert timid.plain["cost20"] > eager.plain["cost20"]
    text = markdown(rows, missing)
    assert "Not computed, and therefore not in the tables: AlexNet (none)." in text
    lesson = text.splitlines()[-1]
    assert "the most accurate is ResNet-18 (none)" in lesson
    assert "at c = 20" in lesson
    assert "ResNet-18 (50 % a batch), number 2 by accuracy" in lesson


def test_costs_are_per_hundred_patches(results: Path) -> None:
    (_, row, _), _ = rows_of(results, ("resnet18-none", "resnet18-share50"), draws=2)
    patients, cell = read_patients(results), read_cell(results, "resnet18-none")
    assert cell is not None
    missed = int((patients.truth & (cell.probability < 0.5)).sum())
    assert row.estimates["cost13"].value == pytest.approx(13 * missed / 400 * 100)
    assert row.estimates["sensitivity"].value == pytest.approx(1 - missed / patients.truth.sum())


def test_half_precision_log_odds_keep_both_ends_apart(results: Path) -> None:
    p = np.array([1e-5, 1e-3, 0.5, 0.999, 0.99999])
    found = OutOfFold(p, np.zeros(5, int), (0.5,), 1.0, 1.0, train_seconds=1.0, best_epochs=(1,))
    write_cell(found, results, "some")
    back = read_cell(results, "some")
    assert back is not None
    np.testing.assert_allclose(back.probability, p, rtol=0.01)
    np.testing.assert_allclose(1 - back.probability, 1 - p, rtol=0.01)


def test_a_text_without_the_markers_is_refused() -> None:
    begin, end = MARKERS
    assert replace_between(f"a{begin}old{end}b", "new") == f"a{begin}\nnew\n{end}b"
    with pytest.raises(ValueError, match="lacks the markers"):
        replace_between("nothing", "new")
