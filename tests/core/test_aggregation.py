"""Literal tables for every rule, and the reason why the default is not the majority."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.aggregation import (
    Aggregation,
    SlideScore,
    aggregate,
    carrying_tiles,
    count_above,
    labels_present,
    majority,
    roll_up,
    saliency_mean,
    share_above,
    share_out,
    top_k,
    top_k_mean,
)
from core.saliency import haematoxylin_density

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


# --- saliency -------------------------------------------------------------------------------------------------------


def test_saliency_mean_by_hand():
    weights = np.array([0, 0, 1, 1, 2, 4], np.float32)
    wanted = [(0.7 + 0.5 + 2 * 0.4 + 4 * 0.1) / 8, (0.3 + 0.5 + 2 * 0.6 + 4 * 0.9) / 8]
    assert saliency_mean(TABLE, saliency=weights).tolist() == pytest.approx(wanted)
    found = aggregate(TABLE, saliency=weights)
    assert found[Aggregation.SALIENCY_MEAN].tolist() == pytest.approx(wanted)
    assert tuple(found) == tuple(Aggregation), "in the order in which the rules are shown"


def test_equal_weights_and_no_weight_at_all_give_the_plain_mean():
    mean = TABLE.mean(axis=0)
    for value in (0.0, 1.0, 1e-3):
        weights = np.full(6, value, np.float32)
        assert saliency_mean(TABLE, saliency=weights).tolist() == pytest.approx(mean.tolist(), abs=1e-6)


@pytest.mark.parametrize("bad", [[1.0] * 5, [1.0] * 5 + [-1.0], [1.0] * 5 + [np.nan]])
def test_weights_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="one weight of at least 0"):
        saliency_mean(TABLE, saliency=np.array(bad, np.float32))


def test_saliency_is_high_where_nuclei_are_and_nothing_on_glass_and_ink():
    """Colours worked out from the stain vectors of Ruifrok and Johnston: light falls by 10 to the minus density."""
    haematoxylin, eosin = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])

    def tile(*, h: float = 0.0, e: float = 0.0) -> np.ndarray:
        colour = 244 * 10 ** -(h * haematoxylin + e * eosin) - 1
        return np.broadcast_to(colour.round(), (50, 50, 3)).astype(np.uint8)

    blue_pen = np.broadcast_to(np.array([30, 60, 200], np.uint8), (50, 50, 3))
    tiles = np.stack([tile(), tile(e=0.3), tile(h=0.2, e=0.2), tile(h=0.5, e=0.2), blue_pen])
    found = haematoxylin_density(tiles, um_per_px=4.0)
    # The stain vectors have a length of almost 1, to which amounts are scaled.
    assert found == pytest.approx([0, 0, 0.2, 0.5, 0], abs=0.02)
    fine = np.stack([one.repeat(4, 0).repeat(4, 1) for one in tiles])
    assert haematoxylin_density(fine, um_per_px=1.0) == pytest.approx(found, abs=1e-6)


# --- other tiles ----------------------------------------------------------------------------------------------------


def test_shares_of_area_by_hand():
    first = np.array([[0, 0], [100, 0]])
    second = np.array([[50, 0], [0, 50], [500, 500]])
    shared = share_out(np.array([0.6, 0.4]), from_xy=first, from_size=(100, 100), to_xy=second, to_size=(100, 50))
    #  upper right quarter of the one and upper left of the other; the lower half of the one; nothing
    assert shared.tolist() == pytest.approx([0.6 / 4 + 0.4 / 4, 0.6 / 2, 0])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_another_gapless_grid_over_the_same_place_keeps_the_sum(tile, other, seed):
    side = 72 * 35  # a multiple of every tile side drawn

    def grid(count: int) -> tuple[np.ndarray, int]:
        step = side // count
        return np.array([(x * step, y * step) for y in range(count) for x in range(count)]), step

    (from_xy, from_step), (to_xy, to_step) = grid(tile), grid(other)
    values = np.random.default_rng(seed).random(len(from_xy))
    shared = share_out(values, from_xy=from_xy, from_size=(from_step,) * 2, to_xy=to_xy, to_size=(to_step,) * 2)
    assert shared.sum() == pytest.approx(values.sum())
    if tile == other:
        assert shared.tolist() == values.tolist()


# --- cases ----------------------------------------------------------------------------------------------------------


def test_the_slide_furthest_above_its_own_threshold_carries_the_case():
    found = roll_up([SlideScore("low", 0.3, 0.5), SlideScore("high", 0.9, 0.8), SlideScore("strict", 0.8, 0.5)])
    assert (found.slide_id, found.score, found.with_result, found.complete) == ("strict", 0.8, 3, True)
    assert found.reason == (
        "strict carries the case: its score of 0.80 lies furthest above its threshold 0.50, of 3 slides with a result."
    )


def test_below_all_thresholds_the_nearest_carries_it_and_ties_go_to_the_higher_score_then_to_the_first():
    found = roll_up([SlideScore("a", 0.1, 0.5), SlideScore("b", 0.2, 0.5)])
    assert found.slide_id == "b"
    assert "none of 2 slides with a result reaches its threshold" in found.reason
    assert roll_up([SlideScore("a", 0.1, 0.2), SlideScore("b", 0.2, 0.4)]).slide_id == "b"
    assert roll_up([SlideScore("a", 0.1, 0.2), SlideScore("b", 0.1, 0.2)]).slide_id == "a"
    assert "only slide with a result" in roll_up([SlideScore("a", 0.1, 0.2)]).reason


def test_slides_without_a_result_are_named_and_never_negative():
    found = roll_up([SlideScore("a", 0.1, 0.5), SlideScore("b", None, why_none="no mpp"), SlideScore("c", None)])
    assert found.without_result == (("b", "no mpp"), ("c", ""))
    assert not found.complete
    assert found.reason.endswith("Without a result, and so neither negative nor positive: b (no mpp), c.")
    nothing = roll_up([SlideScore(f"s{n}", None, why_none="unreadable") for n in range(7)])
    assert (nothing.slide_id, nothing.score, nothing.complete) == (None, None, False)
    assert nothing.reason.startswith("No slide of this case has a result. ")
    assert nothing.reason.endswith("s3 (unreadable), 3 more.")
    assert roll_up([]).reason == "No slide of this case has a result."


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_with_one_threshold_the_highest_score_carries_the_case(scores):
    found = roll_up([SlideScore(f"s{n}", score, 0.5) for n, score in enumerate(scores)])
    assert found.score == max(scores)
