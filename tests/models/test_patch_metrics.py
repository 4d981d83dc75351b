from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.metrics import (
    best_threshold,
    binary_metrics,
    expected_calibration_error,
    fit_temperature,
    mean_red_darkness,
    with_intervals,
)


def test_metrics_of_a_hand_counted_table() -> None:
    # at 0.5: TP 3, FN 1, TN 4, FP 2
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    p = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.5, 0.4, 0.3, 0.1, 0.0])
    found = {name: metric(truth, p) for name, metric in binary_metrics(threshold=0.5).items()}
    assert found["sensitivity"] == pytest.approx(3 / 4)
    assert found["specificity"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert found["f1"] == pytest.approx(6 / 9)
    assert found["auc"] == pytest.approx((6 + 6 + 5 + 2) / 24)  # pairs in which the positive scores higher


def test_calibration_error_of_a_hand_counted_table() -> None:
    truth = np.array([1, 0, 0, 0, 1, 1], bool)
    p = np.array([0.25, 0.25, 0.25, 0.25, 0.75, 0.75])
    assert expected_calibration_error(truth, p, bins=2) == pytest.approx(2 / 6 * 0.25)
    assert expected_calibration_error(np.array([True]), np.array([1.0])) == 0


def test_temperature_is_recovered() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 2))
    p = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    labels = (random.random(20_000) < p).astype(np.int64)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)


def test_threshold_separates_what_can_be_separated() -> None:
    truth = np.array([0, 0, 1, 1], bool)
    p = np.array([0.1, 0.2, 0.4, 0.9])
    threshold = best_threshold(truth, p)
    assert ((p >= threshold) == truth).all()


def test_intervals_are_over_patients_so_copies_of_patches_add_no_certainty() -> None:
    random = np.random.default_rng(5)
    groups = np.repeat([f"p{index}" for index in range(20)], 10)
    truth = random.random(200) < 0.4
    p = np.clip(0.3 * truth + random.random(200) * 0.7, 0, 1)
    metrics = {"auc": binary_metrics(threshold=0.5)["auc"]}
    once = with_intervals(truth, p, groups, metrics=metrics, draws=200)["auc"]
    copied = with_intervals(*(np.tile(a, 9) for a in (truth, p, groups)), metrics=metrics, draws=200)["auc"]
    assert once.low < once.value < once.high
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high))
    as_if_patients = with_intervals(
        *(np.tile(a, 9) for a in (truth, p)), np.arange(1800).astype(str), metrics=metrics, draws=200
    )["auc"]
    assert as_if_patients.high - as_if_patients.low < (once.high - once.low) / 2


def test_one_class_only_leaves_undefined_what_needs_both() -> None:
    groups = np.array(["a", "b", "c"])
    found = with_intervals(np.zeros(3, bool), np.array([0.2, 0.4, 0.9]), groups, metrics=binary_metrics(threshold=0.5))
    assert found["specificity"].value == pytest.approx(2 / 3)
    assert found["npv"].value == 1
    for name in ("auc", "auprc", "sensitivity", "balanced_accuracy"):
        assert np.isnan([found[name].value, found[name].low, found[name].high]).all()


def test_darkness_is_of_the_red_channel() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1] = 255
    images[2, ..., 0] = 51
    np.testing.assert_allclose(mean_red_darkness(images), [1, 0, 0.8])
