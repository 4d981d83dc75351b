"""Probabilities brought back to frequencies, and what an epoch is judged by."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.training.calibration import Calibration, fit_calibration, sharpened
from models.training.config import CardTexts, TrainingConfig
from models.training.validation import criterion_value, validation_scores

TEXTS = CardTexts("t", "t", "t", "benign", "breast", ("he",), "t", "t", "t", ("t",))


def config(*, classes: tuple[str, ...] = ("benign", "tumour"), **values: object) -> TrainingConfig:
    here = Path()
    base = {"name": "x", "data": here, "split": here, "output": here, "mpp": 1.0, "tile_px": 32, "input_px": 32}
    return TrainingConfig(**base, classes=classes, card=TEXTS, **values)


def overlapping(count: int, *, prior: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two Gaussians one apart on each side, and the exact log odds of a world in which both are equally frequent."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < prior).astype(np.int64)
    x = random.normal(2.0 * labels - 1, 1.0)
    return np.column_stack([np.zeros(count), 2 * x]), labels


def test_a_network_balanced_in_training_gets_its_prior_back() -> None:
    logits, labels = overlapping(40_000, prior=0.1, seed=1)
    raw = Calibration(1.0, (0.0, 0.0)).probabilities(logits)[:, 1]
    assert raw.mean() > 0.18  # it believes in half a world of positives
    fitted = fit_calibration(logits, labels, with_prior=True)
    assert fitted.temperature == pytest.approx(1, abs=0.05)
    assert fitted.bias == pytest.approx((0.0, math.log(0.1 / 0.9)), abs=0.06)
    calibrated = fitted.probabilities(logits)[:, 1]
    assert calibrated.mean() == pytest.approx(labels.mean(), abs=1e-3)
    for low, high in ((0.02, 0.1), (0.2, 0.4), (0.6, 0.8)):
        inside = (calibrated > low) & (calibrated < high)
        assert labels[inside].mean() == pytest.approx(calibrated[inside].mean(), abs=0.04)


def test_temperature_alone_leaves_the_prior_as_it_is() -> None:
    logits, labels = overlapping(20_000, prior=0.5, seed=2)
    fitted = fit_calibration(3 * logits, labels, with_prior=False)
    assert fitted.temperature == pytest.approx(3, rel=0.05)
    assert fitted.bias == (0.0, 0.0)


def test_the_bias_in_the_last_layer_and_the_temperature_after_it_make_the_same_probabilities() -> None:
    logits, _ = overlapping(50, prior=0.3, seed=3)
    fitted = Calibration(2.5, (0.0, -1.2))
    in_network = logits + np.array(fitted.bias_before_temperature)
    np.testing.assert_allclose(
        Calibration(2.5, (0.0, 0.0)).probabilities(in_network), fitted.probabilities(logits), atol=1e-12
    )


def test_three_classes_get_three_biases() -> None:
    random = np.random.default_rng(4)
    labels = random.choice(3, 30_000, p=(0.7, 0.2, 0.1))
    logits = 1.5 * np.eye(3)[labels] + random.normal(0, 1, (len(labels), 3))
    logits = 1.5 * logits  # the exact log likelihoods of the classes
    fitted = fit_calibration(logits, labels, with_prior=True)
    expected = np.log([0.7, 0.2, 0.1]) - math.log(0.7)
    assert fitted.bias == pytest.approx(tuple(expected), abs=0.08)


def test_members_that_err_apart_are_made_surer_together() -> None:
    random = np.random.default_rng(5)
    labels = (random.random(8_000) < 0.5).astype(np.int64)
    logits = []
    for _ in range(4):
        x = random.normal(2.0 * labels - 1, 2.0)
        logits.append(np.column_stack([np.zeros(len(x)), x / 2])[None])  # each alone is calibrated
    alone = [Calibration(1.0, (0.0, 0.0))] * 4
    together = sharpened(alone, logits, labels)
    assert len({member.temperature for member in together}) == 1
    assert together[0].temperature < 0.8

    def loss(members: list[Calibration]) -> float:
        p = np.mean([m.probabilities(view[0]) for m, view in zip(members, logits, strict=True)], axis=0)
        return float(-np.log(p[np.arange(len(labels)), labels]).mean())

    assert loss(list(together)) < loss(alone) - 0.01


def test_scores_of_four_patches_by_hand() -> None:
    # probabilities of the target 0.2, 0.4, 0.3, 0.9; both best thresholds lie between
    logits = np.array([[0, math.log(p / (1 - p))] for p in (0.2, 0.4, 0.3, 0.9)])
    labels = np.array([0, 0, 1, 1])
    found = validation_scores(logits, labels, config=config(balance_cost=3.0))
    assert found.loss == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(0.3) + math.log(0.9)) / 4)
    assert found.auc == pytest.approx(3 / 4)
    assert found.auprc == pytest.approx((1 + 2 / 3) / 2)
    assert found.balanced_accuracy == pytest.approx(0.75)
    assert found.cost == pytest.approx(1 / 4)  # call from 0.3 on: one false alarm, no miss at 3
    cheap = validation_scores(logits, labels, config=config(balance_cost=0.5))
    assert cheap.cost == pytest.approx(0.5 / 4)  # call from 0.9 on: one miss at a half


def test_more_than_two_classes_are_judged_one_against_the_rest() -> None:
    labels = np.array([0, 0, 1, 2])
    logits = np.log([[0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    found = validation_scores(logits, labels, config=config(classes=("benign", "aca", "scc")))
    assert found.auc == pytest.approx((1 + 1 + 1) / 3)
    assert found.balanced_accuracy == pytest.approx((0.5 + 1 + 1) / 3)


@pytest.mark.parametrize(("criterion", "sign"), [("auc", 1), ("balanced_accuracy", 1), ("loss", -1), ("cost", -1)])
def test_every_criterion_is_turned_so_that_more_is_better(criterion: str, sign: int) -> None:
    logits, labels = overlapping(200, prior=0.5, seed=6)
    chosen = config(criterion=criterion, balance_cost=5.0)
    scores = validation_scores(logits, labels, config=chosen)
    assert criterion_value(scores, config=chosen) == sign * getattr(scores, criterion)
    worse = validation_scores(-logits, labels, config=chosen)
    assert criterion_value(worse, config=chosen) < criterion_value(scores, config=chosen)
