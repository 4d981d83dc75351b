"""The shipped lung model on tiles of original images that it has never seen, and what its card admits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.services.evaluation.patches import evaluate_patches
from models.cards import SHIPPED, load_card
from models.data.splits import read_split
from models.registry import load_model

EACH = 12
"""Original images of each class that are looked at, one copy of each: enough to see that the model works."""


def test_the_card_refuses_slides_and_says_why() -> None:
    card = load_card("lung")
    assert not card.for_slides
    assert "scale" in card.for_slides_note
    assert card.positive_classes == ("lung_aca", "lung_scc")
    assert any("patient" in limit for limit in card.limits)
    assert any("near perfect" in limit for limit in card.limits)


def test_the_card_states_every_class_and_their_mean_with_intervals() -> None:
    stated = load_card("lung").metrics["test_classes"]
    for name in ("macro_auc", "macro_f1", "balanced_accuracy", *(f"auc_{kind}" for kind in load_card("lung").classes)):
        assert stated[name]["low"] <= stated[name]["value"] <= stated[name]["high"]


def test_no_original_image_lies_on_both_sides_of_the_split(real_data: Path) -> None:
    split = read_split(SHIPPED / "cards" / "lung_split.csv")  # reading refuses a group in two parts
    groups = {f"{path.parent.name}/{path.name}" for path in (real_data / "lung").glob("*/*")}
    assert {*split.train, *split.validation, *split.test} == groups


def test_it_tells_unseen_images_apart(real_data: Path, tmp_path: Path) -> None:
    test = read_split(SHIPPED / "cards" / "lung_split.csv").test
    for name in load_card("lung").classes:
        for group in [group for group in test if group.startswith(f"{name}/")][:EACH]:
            source = min((real_data / "lung" / group).iterdir())
            target = tmp_path / group / source.name
            target.parent.mkdir(parents=True)
            target.symlink_to(source)
    found = evaluate_patches("lung", tmp_path, layout="class_group", device="cpu", draws=20)
    assert found.n_patches == 3 * EACH
    assert found.classes["accuracy"].value >= 0.9
    assert found.classes["macro_auc"].value >= 0.97


def test_what_it_says_of_glass_is_stated_as_meaningless() -> None:
    card = load_card("lung")
    white = np.full((1, card.tile_px, card.tile_px, 3), 250, np.uint8)
    probabilities = load_model("lung", device="cpu").predict(white)
    assert probabilities.sum() == pytest.approx(1, abs=1e-3)
    assert any("anything else gets one of the three names" in limit for limit in card.limits)
