"""Literal tables for every rule, and the reason why the default is not the majority."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.aggregation import (
    Aggregation,
    aggregate,
    carrying_tiles,
    count_above,
    labels_present,
    majority,
    share_above,
    top_k,
    top_k_mean,
)

TABLE = np.array(
    [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.5, 0.5], [0.4, 0.6], [0.1, 0.9]],
    np.float32,
)


def test_every_rule_on_a_table_worked_by_hand():
    scores = aggregate(TABLE)
    assert {name: [round(float(v), 4) for v in values] for name, values in scores.items()} == {
        Aggregation.TOP_K_MEAN: [0.8, 0.6667],  # the three highest of six
        Aggregation.MAX: [0.9, 0.9],
        Aggregation.COUNT_ABOVE: [0.7, 0.5],  # the third highest
        Aggregation.THRESHOLD: [0.6667, 0.5],
        Aggregation.MEAN: [0.5667, 0.4333],
        Aggregation.MAJORITY: [0.6667, 0.3333],  # the tie goes to the first class
    }


@pytest.mark.parametrize(("count", "k"), [(1, 1), (2, 2), (3, 3), (100, 3), (151, 4), (1000, 20)])
def test_top_k_grows_with_the_slide_but_never_below_three(count, k):
    assert top_k(count, fraction=0.02, minimum=3) == k


def test_one_percent_focal_disease_is_missed_by_majority_and_mean_and_kept_by_top_k():
    probabilities = np.full((1000, 2), (0.95, 0.05), np.float32)
    probabilities[:10] = (0.05, 0.95)
    scores = aggregate(probabilities)
    assert scores[Aggregation.MAJORITY][1] == pytest.approx(0.01)
    assert scores[Aggregation.MEAN][1] < 0.06
    assert scores[Aggregation.TOP_K_MEAN][1] == pytest.approx(0.5, abs=0.01)
    assert top_k_mean(probabilities, fraction=0.01, minimum=5)[1] == pytest.approx(0.95)


def test_threshold_rule_is_multi_label_with_normal_as_fallback():
    classes = ("normal", "aca", "scc")
    decide = {"classes": classes, "normal": "normal", "slide_threshold": 0.05}
    assert labels_present(np.array([0.8, 0.12, 0.08]), **decide) == ("aca", "scc")
    assert labels_present(np.array([0.96, 0.04, 0.0]), **decide) == ("normal",)
    assert labels_present(np.array([0.0, 0.0, 0.0]), **decide) == ("normal",)
    with pytest.raises(ValueError, match="not among the classes"):
        labels_present(np.array([1.0]), classes=("a",), normal="b", slide_threshold=0.1)


def test_count_above_needs_as_many_tiles():
    assert count_above(TABLE[:2], count=3).tolist() == [0, 0]
    assert count_above(TABLE, count=1).tolist() == pytest.approx([0.9, 0.9])


def test_carrying_tiles_come_most_suspicious_first():
    assert carrying_tiles(TABLE[:, 1]).tolist() == [5, 4, 3]


@pytest.mark.parametrize("bad", [np.empty((0, 2)), np.array([0.5]), np.array([[1.5, -0.5]]), np.array([[np.nan, 1.0]])])
def test_no_tiles_or_no_probabilities_are_refused(bad):
    with pytest.raises(ValueError, match="Aggregation needs"):
        aggregate(bad.astype(np.float32))


@given(arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 4)), elements=st.floats(0, 1, width=32)))
def test_scores_stay_in_range_and_do_not_depend_on_tile_order(probabilities):
    scores = aggregate(probabilities)
    turned = aggregate(probabilities[::-1])
    for name, values in scores.items():
        assert values.shape == (probabilities.shape[1],)
        assert (values >= 0).all()
        assert (values <= 1 + 1e-6).all()
        np.testing.assert_allclose(values, turned[name], atol=1e-6)
    assert (scores[Aggregation.MAX] >= scores[Aggregation.TOP_K_MEAN] - 1e-6).all()
    assert (scores[Aggregation.TOP_K_MEAN] >= scores[Aggregation.MEAN] - 1e-6).all()


def test_share_and_majority_are_shares():
    assert share_above(TABLE, threshold=0.95).tolist() == [0, 0]
    assert majority(TABLE).sum() == pytest.approx(1)
