"""Tile statistics against values worked out by hand, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.aggregators.statistics import statistic_names, tile_statistics

CLASSES = ("other", "idc")
TILE = (100, 100)


def grid(width: int, height: int) -> np.ndarray:
    """Corners of a gapless grid, row by row."""
    return np.array([(100 * x, 100 * y) for y in range(height) for x in range(width)], np.int32)


def described(positive: list[float], places: np.ndarray) -> dict[str, float]:
    p = np.array(positive, np.float32)
    found = tile_statistics(np.stack([1 - p, p], axis=1), xy_level0=places, tile_level0=TILE, classes=CLASSES)
    return dict(zip(found.names, found.values.tolist(), strict=True))


def test_a_table_worked_by_hand():
    found = described([0.0, 0.1, 0.6, 0.95, 0.8, 0.2], grid(3, 2))
    wanted = {
        "idc.mean": 2.65 / 6,
        "idc.quantile_0.5": 0.4,  # half-way between 0.2 and 0.6
        "idc.share_above_0.5": 3 / 6,
        "idc.share_above_0.9": 1 / 6,
        "idc.log_count_above_0.75": np.log(3),  # two tiles, plus one
        "idc.top_1_mean": 0.95,
        "idc.top_3_mean": (0.95 + 0.8 + 0.6) / 3,
        "idc.top_10_mean": 2.65 / 6,  # there are only six
        "idc.top_2%_mean": 0.95,  # at least one tile
        "other.top_1_mean": 1.0,
        "other.share_above_0.5": 3 / 6,
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)


def test_clusters_are_tiles_that_touch_also_across_a_corner():
    #  X . .     two touch across a corner, one stands alone
    #  . X .
    #  . . .
    #  X . .
    positive = [0.9, 0, 0, 0, 0.9, 0, 0, 0, 0, 0.9, 0, 0]
    found = described(positive, grid(3, 4))
    assert found["idc.largest_cluster_log_tiles_0.5"] == pytest.approx(np.log1p(2))
    assert found["idc.largest_cluster_share_0.5"] == pytest.approx(2 / 12)
    assert found["idc.high_in_largest_cluster_0.5"] == pytest.approx(2 / 3)
    assert found["idc.high_with_high_neighbour_0.5"] == pytest.approx(2 / 3)
    assert found["idc.log_clusters_0.5"] == pytest.approx(np.log1p(2))


def test_a_focus_and_as_many_scattered_false_alarms_differ_in_the_clusters_alone():
    places = grid(20, 20)
    focus, scattered = np.full(400, 0.05), np.full(400, 0.05)
    focus[[0, 1, 20, 21]] = 0.95
    scattered[[0, 10, 205, 399]] = 0.95
    one, other = described(focus.tolist(), places), described(scattered.tolist(), places)
    different = {name for name in one if one[name] != pytest.approx(other[name])}
    assert different
    assert all("cluster" in name or "neighbour" in name for name in different)
    assert one["idc.largest_cluster_share_0.9"] == 4 * other["idc.largest_cluster_share_0.9"]


def test_overlapping_tiles_and_rectangular_ones_touch_within_a_tile_side():
    p = np.array([[0.1, 0.9]] * 3, np.float32)
    half_steps = np.array([(0, 0), (50, 0), (400, 0)], np.int32)
    found = tile_statistics(p, xy_level0=half_steps, tile_level0=(100, 50), classes=CLASSES)
    assert dict(zip(found.names, found.values, strict=True))["idc.high_in_largest_cluster_0.5"] == pytest.approx(2 / 3)


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_tiles_changes_nothing_and_all_is_finite(values, random):
    places = grid(8, 8)[: len(values)]
    order = list(range(len(values)))
    random.shuffle(order)
    one, other = described(values, places), described([values[i] for i in order], places[order])
    assert tuple(one) == statistic_names(CLASSES)
    assert all(np.isfinite(list(one.values())))
    assert list(one.values()) == pytest.approx(list(other.values()), abs=1e-9)


def test_classes_give_their_own_names_and_no_name_twice():
    names = statistic_names(("normal", "aca", "scc"))
    assert len(set(names)) == len(names) == 3 * len(statistic_names(("one",)))
    assert {name.split(".")[0] for name in names} == {"normal", "aca", "scc"}


@pytest.mark.parametrize(("tiles", "places"), [(0, 0), (3, 2)])
def test_no_tiles_and_arrays_that_do_not_fit_are_refused(tiles, places):
    with pytest.raises(ValueError, match="Tile statistics need"):
        tile_statistics(
            np.zeros((tiles, 2)), xy_level0=np.zeros((places, 2), np.int32), tile_level0=TILE, classes=CLASSES
        )
