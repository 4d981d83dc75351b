"""The shipped breast model on real patches of patients that it has never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.evaluation.binary import auc, confusion
from models.cards import SHIPPED, load_card
from models.data.patches import Patches, read_idc
from models.data.splits import check_covers, read_split
from models.evaluation.comparison import FROZEN, RESULTS
from models.evaluation.measuring import predict_positive
from models.evaluation.metrics import mean_red_darkness
from models.evaluation.stored import read_cell, read_patients
from models.registry import load_model


@pytest.fixture(scope="module")
def held_out(real_data: Path) -> Patches:
    card = load_card("idc")
    patches = read_idc(real_data / "idc", classes=card.classes, tile_px=card.tile_px)
    split = read_split(SHIPPED / "cards" / "idc_split.csv")
    check_covers(split, set(patches.groups))
    return patches.select(patches.of_groups(split.test))


@pytest.fixture(scope="module")
def probability(held_out: Patches) -> NDArray[np.float64]:
    return predict_positive(load_model("idc", device="cpu"), held_out, positive_index=load_card("idc").positive_indices)


def test_it_beats_the_darkness_of_the_patch(held_out: Patches, probability: NDArray[np.float64]) -> None:
    darkness = roc_auc_score(held_out.labels, mean_red_darkness(held_out.images))
    assert 0.75 < darkness < 0.9  # the baseline is what it is known to be
    assert roc_auc_score(held_out.labels, probability) > darkness + 0.03


def test_the_card_states_what_is_measured(held_out: Patches, probability: NDArray[np.float64]) -> None:
    card = load_card("idc")
    stated = card.metrics["test"]
    called = probability >= card.threshold
    positive = np.isin(held_out.labels, card.positive_indices)
    assert roc_auc_score(positive, probability) == pytest.approx(stated["auc"]["value"], abs=0.003)
    assert called[positive].mean() == pytest.approx(stated["sensitivity"]["value"], abs=0.02)
    assert (~called[~positive]).mean() == pytest.approx(stated["specificity"]["value"], abs=0.02)


def test_the_card_states_the_gain_over_darkness_with_its_interval() -> None:
    gain = load_card("idc").metrics["test_gain_over_darkness"]["auc"]
    assert 0 < gain["low"] < gain["value"] < gain["high"]


def test_it_judges_mirrored_and_turned_patches_alike(held_out: Patches, probability: NDArray[np.float64]) -> None:
    some = slice(None, None, 15)
    turned = load_model("idc", device="cpu").predict(np.rot90(held_out.images[some], axes=(1, 2)))[:, 1]
    assert np.abs(turned - probability[some]).mean() < 0.08
    assert np.corrcoef(turned, probability[some])[0, 1] > 0.9


def test_it_beats_what_was_published_for_the_full_set_in_balanced_accuracy(
    held_out: Patches, probability: NDArray[np.float64]
) -> None:
    # Cruz-Roa et al. 2014: 84.2 %; other patients and 30 times as many patches, so this is an orientation, no contest.
    found = confusion(held_out.labels == 1, probability >= load_card("idc").threshold)
    assert found.balanced_accuracy > 0.842
    assert found.f1 > 0.718


def test_it_beats_frozen_features_with_logistic_regression() -> None:
    # Both are of patients that the network at hand had not seen; the intervals are of the patients in each.
    patients, cell = read_patients(RESULTS), read_cell(RESULTS, FROZEN)
    assert cell is not None
    frozen = auc(patients.truth, cell.probability)
    assert 0.84 < frozen < 0.91  # the baseline is what it is known to be
    for part in ("validation", "test"):
        assert load_card("idc").metrics[part]["auc"]["low"] > frozen


def test_the_card_says_how_often_the_test_patients_were_looked_at() -> None:
    assert any("looked at once before" in limit for limit in load_card("idc").limits)


def test_glass_is_not_cancer() -> None:
    card = load_card("idc")
    white = np.full((1, card.tile_px, card.tile_px, 3), 245, np.uint8)
    assert card.target_probability(load_model("idc", device="cpu").predict(white))[0] < 0.1
