"""The evaluation stage against hand-worked values, scikit-learn, literal definitions and its own invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    brier_score_loss,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from core.evaluation.binary import auc
from core.evaluation.calibration import reliability
from core.evaluation.calls import call_estimates
from core.evaluation.classes import class_table
from core.evaluation.delong import DELONG, NEWCOMBE, auc_estimate, paired_auc
from core.evaluation.intervals import with_intervals
from core.evaluation.operating import operating_points
from core.evaluation.paired import compare, mcnemar_exact
from core.evaluation.subgroups import NOT_STATED, subgroups

TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
SCORES = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.5, 0.4, 0.3, 0.1, 0.0])
ALONE = np.arange(10).astype(str)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with both classes, scores with many ties, and the patient of each unit."""
    count = draw(st.integers(4, 40))
    truth = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    truth[:2] = [True, False]
    levels = draw(st.lists(st.integers(0, 8), min_size=count, max_size=count))
    groups = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    return truth, np.array(levels) / 8, np.array(groups).astype(str)


# ---------------------------------------------------------------------------------------------------- operating points


def test_counts_at_every_threshold_by_hand() -> None:
    found = operating_points(TRUTH, SCORES)
    assert found.thresholds.tolist() == [math.inf, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert found.true_positive.tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4]
    assert found.false_positive.tolist() == [0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6]
    at = found.at(0.55)  # between 0.5 and 0.6: calls what reaches 0.6
    assert (at.true_positive, at.false_positive, at.true_negative, at.false_negative) == (3, 1, 5, 1)
    assert found.at(1.0).true_positive == 0
    assert found.flag_rate[found.index_of(0.5)] == 0.5


def test_cost_moves_the_threshold_by_hand() -> None:
    found = operating_points(TRUTH, SCORES)
    # c = 1: calling from 0.8 on costs 2 misses; from 0.6 on 1 miss and 1 alarm: equal, the higher threshold stands
    assert found.cost(1)[[2, 4]].tolist() == [2, 2]
    assert 0.7 < found.cheapest(1) < 0.8
    # c = 10: the last positive lies at 0.2 and is worth 3 alarms more
    assert 0.1 < found.cheapest(10) < 0.2
    assert found.cost(10)[found.index_of(found.cheapest(10))] == 4
    assert found.at(found.for_flag_rate(0.2)).true_positive == 2
    assert found.flag_rate[found.index_of(found.for_flag_rate(0.35))] <= 0.35


@given(scored())
def test_curves_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, _ = case
    found = operating_points(truth, scores)
    fpr, tpr, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, fpr)
    np.testing.assert_allclose(found.sensitivity, tpr)
    np.testing.assert_allclose(found.thresholds, thresholds)
    precision, recall, _ = precision_recall_curve(truth, scores)
    np.testing.assert_allclose(found.precision[1:], precision[:-1][::-1])
    np.testing.assert_allclose(found.sensitivity[1:], recall[:-1][::-1])
    assert np.trapezoid(found.sensitivity, found.false_positive_rate) == pytest.approx(roc_auc_score(truth, scores))


@given(scored(), st.floats(0, 30))
def test_no_threshold_is_cheaper_than_the_cheapest(case: tuple[np.ndarray, np.ndarray, np.ndarray], c: float) -> None:
    truth, scores, _ = case
    found = operating_points(truth, scores)
    best = found.at(found.cheapest(c)).cost(c)
    assert all(best <= found.at(threshold).cost(c) + 1e-9 for threshold in np.linspace(-0.1, 1.1, 40))
    thin = found.thinned(5)
    assert (thin.thresholds[0], thin.thresholds[-1]) == (found.thresholds[0], found.thresholds[-1])


# -------------------------------------------------------------------------------------------------------------- DeLong


def literal_delong(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas and their covariance straight from the paper's definitions: every pair of a positive and a negative."""

    def kernel(scores: np.ndarray) -> np.ndarray:
        x, y = scores[truth][:, None], scores[~truth][None, :]
        return (x > y) + 0.5 * (x == y)

    psi = [kernel(scores.astype(float)) for scores in (first, second)]
    of_ill = np.stack([one.mean(axis=1) for one in psi])
    of_well = np.stack([one.mean(axis=0) for one in psi])
    return np.array([one.mean() for one in psi]), np.cov(of_ill) / of_ill.shape[1] + np.cov(of_well) / of_well.shape[1]


def test_delong_of_a_hand_worked_table() -> None:
    # Two positives (0.8, 0.4), three negatives (0.6, 0.3, 0.1). Placements: 0.8 is above 3 of 3, 0.4 above 2 of 3; the
    # negatives are below 1 of 2, 2 of 2, 2 of 2. AUC = 5/6. S10 = var(1, 2/3) = 1/18, S01 = var(1/2, 1, 1) = 1/12.
    truth = np.array([1, 1, 0, 0, 0], bool)
    found = auc_estimate(truth, np.array([0.8, 0.4, 0.6, 0.3, 0.1]), np.arange(5).astype(str))
    assert found.estimate.value == pytest.approx(5 / 6)
    assert found.standard_error**2 == pytest.approx((1 / 18) / 2 + (1 / 12) / 3)
    assert found.method == DELONG
    assert 0 < found.estimate.low < 5 / 6 < found.estimate.high < 1


@given(scored())
def test_delong_is_the_papers_where_every_unit_is_a_patient(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, _ = case
    if min(truth.sum(), (~truth).sum()) < 2:
        return
    other = np.roll(scores, 1)
    areas, covariance = literal_delong(truth, scores, other)
    groups = np.arange(len(truth)).astype(str)
    found = paired_auc(truth, scores, other, groups)
    assert found.first.value == pytest.approx(areas[0])
    assert found.difference.value == pytest.approx(areas[0] - areas[1])
    assert auc_estimate(truth, scores, groups).standard_error == pytest.approx(math.sqrt(covariance[0, 0]), abs=1e-9)
    error = math.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    if error > 1e-6:
        assert found.p_value == pytest.approx(math.erfc(abs(areas[0] - areas[1]) / error / math.sqrt(2)))
        assert math.isclose(
            found.difference.low, max(-1, areas[0] - areas[1] - 1.959963984540054 * error), abs_tol=1e-9
        )


def test_copies_of_a_patient_add_no_certainty_and_the_bootstrap_agrees() -> None:
    random = np.random.default_rng(3)
    truth = random.random(120) < 0.4
    scores = truth * 0.7 + random.normal(size=120)
    groups = np.arange(120).astype(str)
    once = auc_estimate(truth, scores, groups)
    copied = auc_estimate(*(np.tile(one, 5) for one in (truth, scores, groups)))
    assert copied.estimate.value == pytest.approx(once.estimate.value)
    assert copied.standard_error == pytest.approx(once.standard_error, rel=0.02)
    drawn = with_intervals(truth, scores, groups, metrics={"auc": auc}, draws=1500)["auc"]
    assert drawn.low == pytest.approx(once.estimate.low, abs=0.02)
    assert drawn.high == pytest.approx(once.estimate.high, abs=0.02)


@given(scored())
def test_the_interval_holds_the_area_whatever_the_patients(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, groups = case
    found = auc_estimate(truth, scores, groups).estimate
    assert found.value == pytest.approx(roc_auc_score(truth, scores))
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_perfect_order_gets_an_interval_that_says_how_few_there_were() -> None:
    truth = np.array([0] * 5 + [1] * 5, bool)
    few = auc_estimate(truth, np.arange(10.0), np.arange(10).astype(str))
    many = auc_estimate(np.repeat(truth, 20), np.repeat(np.arange(10.0), 20), np.arange(200).astype(str))
    assert few.method == many.method == NEWCOMBE
    assert few.estimate.high == few.estimate.value == 1
    assert few.estimate.low < 0.75 < 0.96 < many.estimate.low < 1


def test_one_class_alone_has_no_area() -> None:
    found = auc_estimate(np.ones(3, bool), np.arange(3.0), np.arange(3).astype(str))
    assert math.isnan(found.estimate.value)
    with pytest.raises(ValueError, match="both classes"):
        paired_auc(np.ones(3, bool), np.arange(3.0), np.arange(3.0), np.arange(3).astype(str))


# ---------------------------------------------------------------------------------------------- calls and calibration


def test_calls_with_intervals_over_patients() -> None:
    found = call_estimates(TRUTH, SCORES >= 0.5, ALONE)
    assert found["sensitivity"].value == pytest.approx(3 / 4)
    assert found["specificity"].value == pytest.approx(4 / 6)
    assert found["accuracy"].value == pytest.approx(7 / 10)
    assert found["f1"].value == pytest.approx(6 / 9)
    assert found["sensitivity"].low < 3 / 4 < found["sensitivity"].high
    few = call_estimates(TRUTH[:4], SCORES[:4] >= 0.5, ALONE[:4])
    assert few["sensitivity"].value == 3 / 4
    assert math.isnan(few["sensitivity"].low)
    assert math.isnan(few["specificity"].value)


def test_intervals_of_calls_are_those_of_the_plain_bootstrap() -> None:
    random = np.random.default_rng(1)
    truth, scores = random.random(150) < 0.3, random.random(150)
    groups = (np.arange(150) // 3).astype(str)

    def accuracy(truth: np.ndarray, scores: np.ndarray, weight: np.ndarray | None = None) -> float:
        return float(np.average((scores >= 0.5) == truth, weights=weight))

    plain = with_intervals(truth, scores, groups, metrics={"accuracy": accuracy}, draws=2000, seed=9)["accuracy"]
    found = call_estimates(truth, scores >= 0.5, groups)["accuracy"]
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high), abs=0.012)


def test_reliability_of_a_hand_worked_table() -> None:
    found = reliability(np.array([1, 0, 0, 0, 1, 1], bool), np.array([0.25, 0.25, 0.25, 0.25, 0.75, 1.0]), bins=2)
    assert [(one.n, one.positives, one.frequency, one.mean_probability) for one in found.bins] == [
        (4, 1, 0.25, 0.25),
        (2, 2, 1.0, 0.875),
    ]
    assert found.ece == pytest.approx(2 / 6 * 0.125)
    assert found.brier == pytest.approx((0.75**2 + 3 * 0.25**2 + 0.25**2) / 6)
    assert found.bins[1].frequency_low < 1 == found.bins[1].frequency_high
    assert reliability(np.empty(0, bool), np.empty(0)).bins == ()


@given(scored())
def test_reliability_is_that_of_scikit_learn(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, _ = case
    scores = scores * 0.93 + 0.021  # scikit-learn closes bins on the other side; no score lies on an edge
    found = reliability(truth, scores)
    frequency, stated = calibration_curve(truth, scores, n_bins=10)
    np.testing.assert_allclose([one.frequency for one in found.bins], frequency)
    np.testing.assert_allclose([one.mean_probability for one in found.bins], stated)
    assert found.brier == pytest.approx(brier_score_loss(truth, scores))


# ------------------------------------------------------------------------------------------------------------- classes


def test_classes_of_a_hand_worked_matrix() -> None:
    found = class_table([[5, 1, 0], [2, 3, 1], [0, 0, 4]], names=("a", "b", "c"))
    b = found.rows[1]
    assert (b.n, b.called) == (6, 4)
    assert (b.precision, b.recall, b.specificity, b.npv) == (3 / 4, 3 / 6, 9 / 10, 9 / 12)
    assert b.accuracy == 12 / 16
    assert b.f1 == pytest.approx(6 / 10)
    assert found.accuracy == 12 / 16
    assert found.balanced_accuracy == pytest.approx((5 / 6 + 1 / 2 + 1) / 3)
    with pytest.raises(ValueError, match="rows and columns"):
        class_table([[1, 2]], names=("a", "b"))


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_classes_are_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, called = random.integers(0, 3, 60), random.integers(0, 3, 60)
    found = class_table(confusion_matrix(truth, called, labels=[0, 1, 2]), names=("a", "b", "c"))
    precision, recall, f1, n = precision_recall_fscore_support(truth, called, labels=[0, 1, 2], zero_division=np.nan)
    np.testing.assert_allclose([one.precision for one in found.rows], precision)
    np.testing.assert_allclose([one.recall for one in found.rows], recall)
    np.testing.assert_allclose([one.f1 for one in found.rows], f1)
    assert [one.n for one in found.rows] == n.tolist()


# ------------------------------------------------------------------------------------------------ pairs and subgroups


def test_two_models_on_the_same_units() -> None:
    better, worse = SCORES, np.array([0.4, 0.8, 0.6, 0.2, 0.7, 0.5, 0.9, 0.3, 0.1, 0.0])
    found = compare(TRUTH, better, worse, ALONE, thresholds=(0.55, 0.55), draws=200)
    assert (found.n, found.n_groups, found.n_positive) == (10, 10, 4)
    assert found.areas is not None
    assert found.areas.difference.value == pytest.approx(19 / 24 - 14 / 24)
    assert (found.only_first_right, found.only_second_right, found.both_right, found.both_wrong) == (2, 0, 6, 2)
    assert found.mcnemar_p == pytest.approx(binomtest(2, 2, 0.5).pvalue)
    assert found.break_even == 0  # the first misses fewer and raises fewer alarms
    assert found.bootstrap_difference is not None
    assert found.bootstrap_difference.low <= found.areas.difference.value <= found.bootstrap_difference.high


def test_a_model_against_itself_differs_in_nothing() -> None:
    found = compare(TRUTH, SCORES, SCORES, ALONE, thresholds=(0.5, 0.5), draws=50)
    assert found.areas is not None
    assert (found.areas.difference.value, found.only_first_right, found.only_second_right) == (0, 0, 0)
    assert math.isnan(found.areas.p_value)
    assert math.isnan(found.mcnemar_p)
    assert found.break_even is None


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test(first: int, second: int) -> None:
    if first + second:
        assert mcnemar_exact(first, second) == pytest.approx(binomtest(first, first + second, 0.5).pvalue)
    else:
        assert math.isnan(mcnemar_exact(first, second))


@given(scored())
def test_subgroups_part_the_units(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, groups = case
    sites = np.where(scores > 0.5, "north", "")
    found = subgroups(truth, scores, groups, threshold=0.5, properties={"site": sites})
    assert {one.name for one in found} <= {"north", NOT_STATED}
    assert sum(one.n for one in found) == len(truth)
    assert sum(one.n_positive for one in found) == truth.sum()
    assert sum(one.counts.true_positive for one in found) == (truth & (scores >= 0.5)).sum()
