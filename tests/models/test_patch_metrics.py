from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from core.evaluation.binary import (
    Confusion,
    auc,
    average_precision,
    best_threshold,
    binary_metrics,
    break_even_cost,
    confusion,
    expected_calibration_error,
)
from core.evaluation.intervals import with_intervals
from models.evaluation.measuring import class_metrics
from models.evaluation.metrics import fit_temperature, mean_red_darkness


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


# ----------------------------------------------------------------------------------------------------- against others


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with both classes, scores with many ties, and how often each patch was drawn."""
    count = draw(st.integers(4, 40))
    truth = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    truth[:2] = [True, False]
    levels = draw(st.lists(st.integers(0, 8), min_size=count, max_size=count))
    weight = np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)), float)
    weight[:2] = 1
    return truth, np.array(levels) / 8, weight


@given(scored())
def test_curves_are_those_of_scikit_learn_with_ties_and_weights(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, scores, weight = case
    assert auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))
    assert auc(truth, scores, weight) == pytest.approx(roc_auc_score(truth, scores, sample_weight=weight))
    expected = average_precision_score(truth, scores, sample_weight=weight)
    assert average_precision(truth, scores, weight) == pytest.approx(expected)


@given(scored())
def test_calls_are_those_of_scikit_learn_and_weights_are_copies(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, scores, weight = case
    called = scores >= 0.5
    found = confusion(truth, called, weight)
    assert found.f1 == pytest.approx(f1_score(truth, called, sample_weight=weight, zero_division=np.nan), nan_ok=True)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, called, sample_weight=weight))
    rows = np.repeat(np.arange(len(truth)), weight.astype(int))
    assert found == confusion(truth[rows], called[rows])
    with_copies = expected_calibration_error(truth[rows], scores[rows])
    assert expected_calibration_error(truth, scores, weight) == pytest.approx(with_copies)


@given(scored(), st.sampled_from([None, 1.0, 5.0, 20.0]))
def test_no_threshold_is_better_than_the_best(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], cost: float | None
) -> None:
    truth, scores, _ = case

    def worth(threshold: float) -> float:
        found = confusion(truth, scores >= threshold)
        return found.balanced_accuracy if cost is None else -found.cost(cost)

    best = worth(best_threshold(truth, scores, cost=cost))
    assert all(worth(level) <= best + 1e-12 for level in np.unique(scores))


# --------------------------------------------------------------------------------------------------------------- cost


def test_the_more_accurate_model_is_the_dearer_one_from_a_cost_of_12_86_on() -> None:
    # Of 10,000 cases 10 are cancers. X misses 8 and raises 10 false alarms; Y misses 1 and raises 100.
    x = Confusion(true_positive=2, false_positive=10, true_negative=9980, false_negative=8)
    y = Confusion(true_positive=9, false_positive=100, true_negative=9890, false_negative=1)
    assert (x.false_negative + x.false_positive, y.false_negative + y.false_positive) == (18, 101)
    assert x.accuracy > y.accuracy
    assert break_even_cost(x, y) == pytest.approx(90 / 7)
    assert x.cost(12.85) < y.cost(12.85)
    assert x.cost(12.86) > y.cost(12.86)
    assert (x.cost(5), y.cost(5), x.cost(13), y.cost(13)) == (50, 105, 114, 113)


def test_who_misses_as_much_never_becomes_the_cheaper_one() -> None:
    with pytest.raises(ValueError, match="fewer"):
        break_even_cost(Confusion(5, 0, 5, 1), Confusion(5, 2, 3, 1))


def test_who_is_better_in_both_is_cheaper_from_the_start() -> None:
    assert break_even_cost(Confusion(5, 4, 5, 3), Confusion(7, 2, 7, 1)) == 0


def test_predictive_values_of_a_hand_counted_table() -> None:
    found = Confusion(true_positive=30, false_positive=10, true_negative=50, false_negative=5)
    assert (found.ppv, found.npv) == (30 / 40, 50 / 55)
    assert found.accuracy == 80 / 95
    nothing_called = Confusion(0, 0, 50, 5)
    assert np.isnan(nothing_called.ppv)
    assert nothing_called.npv == 50 / 55


# ------------------------------------------------------------------------------------------------------ three classes


def test_three_classes_of_a_hand_counted_table() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2], float)
    p = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]])
    unused = np.zeros(6, bool)
    table = np.column_stack((labels, p))
    found = {name: metric(unused, table) for name, metric in class_metrics(("a", "b", "c")).items()}
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert [found[f"sensitivity_{name}"] for name in "abc"] == [0.5, 1, 0.5]
    assert [found[f"ppv_{name}"] for name in "abc"] == [1, 0.5, 1]
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 3)
    assert found["auc_a"] == pytest.approx((4 + 4) / 8)  # 0.8 and 0.3 both above 0.1, 0.2, 0.1 and 0.2
    assert found["auc_c"] == 1
