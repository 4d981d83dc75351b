"""Regions, statistics and the removal test of a slide's tiles; groups and neighbours of vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation import Aggregation
from core.explain import SlideTiles, heatmap_statistics, regions_above, removal_test
from core.explain.neighbours import nearest, whitening_of
from core.explain.removal import Kept, scores_of, turning
from core.explain.statistics import binary_entropy
from core.explain.tile_clusters import cluster_tiles, principal_axes

SIDE = 100


def grid(rows: list[str], *, unusable: list[str] | None = None) -> SlideTiles:
    """Tiles from a picture: a digit d is a probability of d / 10, a dot no tile; X in `unusable` marks artefact."""
    cells = [(x, y, int(sign) / 10) for y, row in enumerate(rows) for x, sign in enumerate(row) if sign != "."]
    bad = [bool(unusable) and unusable[y][x] == "X" for x, y, _ in cells]
    return SlideTiles(
        np.array([(x * SIDE, y * SIDE) for x, y, _ in cells]),
        (SIDE, SIDE),
        0.04,
        np.array([value for *_, value in cells]),
        np.array(bad),
        np.ones(len(cells), np.float32),
    )


def tiles_of(values: list[float], weights: list[float] | None = None) -> SlideTiles:
    count = len(values)
    saliency = None if weights is None else np.array(weights[:count], np.float32)
    xy = np.array([(SIDE * row, 0) for row in range(count)])
    return SlideTiles(xy, (SIDE, SIDE), 0.04, np.array(values), np.zeros(count, np.bool_), saliency)


def test_regions_join_at_corners_and_stop_at_gaps():
    tiles = grid(["9..0", ".90.", "...9"])
    first, second = regions_above(tiles, threshold=0.5)
    assert (len(first.rows), first.mm2, first.box_level0) == (2, pytest.approx(0.08), (0, 0, 200, 200))
    assert first.centre_level0 == (100, 100)
    assert second.centre_level0 == (350, 250)
    assert regions_above(tiles, threshold=0.95) == ()


def test_overlapping_tiles_are_one_region():
    tiles = SlideTiles(
        np.array([(0, 0), (50, 0), (100, 0), (400, 0)]), (100, 100), 0.01, np.full(4, 0.8), np.zeros(4, np.bool_)
    )
    assert [len(region.rows) for region in regions_above(tiles, threshold=0.5)] == [3, 1]


def test_statistics_of_a_known_heatmap():
    found = heatmap_statistics(grid(["0000", "0080", "0099", "0000"]), threshold=0.5)
    assert (found.tiles, found.above, found.share_above) == (16, 3, 3 / 16)
    assert found.mm2 == pytest.approx(0.64)
    assert found.above_mm2 == pytest.approx(0.12)
    assert found.largest is not None
    assert found.largest.mm2 == pytest.approx(0.12)
    assert (found.highest, found.median) == (0.9, 0.0)
    assert found.where == "right"
    # Two tiles of .9 have .469 bit, one of .8 has .722, thirteen of 0 none.
    assert found.entropy_bits == pytest.approx((2 * 0.46900 + 0.72193) / 16, abs=1e-4)
    quiet = heatmap_statistics(grid(["00"]), threshold=0.5)
    assert (quiet.largest, quiet.where, quiet.spread_bits) == (None, "", 0.0)
    assert heatmap_statistics(grid(["33", "33"]), threshold=0.5).spread_bits == pytest.approx(1)
    assert binary_entropy(np.array([0, 0.5, 1])).tolist() == [0, 1, 0]


def test_a_focal_call_rests_on_its_tiles():
    tiles = grid(["0000000000"] * 10)
    tiles.target[[44, 45, 55]] = 0.9
    found = removal_test(tiles, thresholds={Aggregation.TOP_K_MEAN: 0.6}, regions=regions_above(tiles, threshold=0.5))
    turned = found.turning[Aggregation.TOP_K_MEAN]
    assert (turned.tiles, turned.mm2, turned.share) == (1, pytest.approx(0.04), 0.01)
    assert turned.rests_on_few
    assert found.scores_of(Kept.ALL)[Aggregation.TOP_K_MEAN] == pytest.approx(0.9)
    assert found.scores_of(Kept.WITHOUT_TOP)[Aggregation.TOP_K_MEAN] == 0
    assert found.scores_of(Kept.ONLY_TOP)[Aggregation.MEAN] == pytest.approx(0.9)
    assert set(found.scores_of(Kept.ALL)) == set(Aggregation)


def test_without_and_only_artefact():
    tiles = grid(["99000"], unusable=["XX..."])
    found = removal_test(tiles, thresholds={Aggregation.MAX: 0.5}, regions=())
    assert found.scores_of(Kept.WITHOUT_ARTEFACT)[Aggregation.MAX] == 0
    assert found.scores_of(Kept.ONLY_ARTEFACT)[Aggregation.MAX] == pytest.approx(0.9)
    assert found.scores_of(Kept.ONLY_TOP) == {}, "nothing is left, so there is no score"
    assert found.regions_removed == 0


def test_a_diffuse_call_stands_and_a_negative_one_never_turns():
    diffuse = tiles_of([0.9] * 50)
    found = removal_test(diffuse, thresholds={Aggregation.MEAN: 0.5, Aggregation.MAX: 0.95}, regions=())
    assert found.turning[Aggregation.MEAN].tiles is None
    assert not found.turning[Aggregation.MEAN].rests_on_few
    assert Aggregation.MAX not in found.turning


VALUES = st.lists(st.integers(0, 100).map(lambda value: value / 100), min_size=1, max_size=30)
WEIGHTS = st.lists(st.integers(0, 9).map(float), min_size=30, max_size=30)


@settings(max_examples=60, deadline=None)
@given(VALUES, WEIGHTS)
def test_taking_away_the_most_suspicious_tile_never_raises_any_score(values, weights):
    tiles = tiles_of(values, weights)
    order = np.argsort(-tiles.target, kind="stable")
    steps = [scores_of(tiles, order[count:]) for count in range(len(order))]
    for rule in Aggregation:
        scores = [step[rule] for step in steps]
        assert (np.diff(scores) <= 1e-6).all(), rule


@settings(max_examples=50, deadline=None)
@given(VALUES, st.sampled_from(list(Aggregation)), st.floats(0.05, 0.95))
def test_halving_finds_the_fewest_tiles(values, rule, threshold):
    tiles = tiles_of(values, [1.0] * 30)
    order = np.argsort(-tiles.target, kind="stable")
    scores = [scores_of(tiles, order[count:])[rule] for count in range(len(order))]
    found = turning(tiles, rule=rule, threshold=threshold, order=order)
    if scores[0] < threshold:
        assert found is None
    else:
        assert found is not None
        assert found.tiles == next((count for count, score in enumerate(scores) if score < threshold), None)


def test_the_curve_begins_with_all_tiles_and_ends_with_one():
    tiles = tiles_of(np.linspace(0, 0.99, 500).tolist(), None)
    curve = removal_test(tiles, thresholds={}, regions=()).curve
    assert curve.tiles[0] == 0
    assert curve.tiles[-1] == 499
    assert curve.without[Aggregation.MAX][0] == pytest.approx(0.99)
    assert curve.without[Aggregation.MAX][-1] == 0
    assert np.isnan(curve.only[Aggregation.MAX][0])
    assert Aggregation.SALIENCY_MEAN not in curve.without, "without weights there is no such score"


def test_groups_are_found_the_largest_first_and_repeat():
    rng = np.random.default_rng(3)
    vectors = np.concatenate(
        [rng.normal(0, 0.1, (30, 40)), rng.normal(4, 0.1, (10, 40)), rng.normal(-4, 0.1, (20, 40))]
    )
    found = cluster_tiles(vectors, count=3)
    assert found.sizes == (30, 20, 10)
    assert set(found.labels[:30]) == {0}
    assert set(found.labels[30:40]) == {2}
    assert set(found.representatives[2]) <= set(range(30, 40))
    assert np.array_equal(found.labels, cluster_tiles(vectors, count=3).labels)
    with pytest.raises(ValueError, match="cannot be put"):
        cluster_tiles(vectors[:2], count=3)


def test_nearest_vectors_where_every_direction_counts_alike():
    rng = np.random.default_rng(4)
    loud = rng.normal(0, 100, 40)  # the direction of the answer: without whitening it decides alone
    quiet = np.repeat([1.0, -1.0], 20)
    vectors = np.column_stack([loud, quiet + rng.normal(0, 0.01, 40), np.full(40, 7.0)])
    space = whitening_of(vectors)
    units = space.units(vectors)
    assert units.shape == (40, 2), "a direction without spread tells nothing"
    assert np.allclose(np.linalg.norm(units, axis=1), 1)
    like = int(np.abs(loud[20:] - loud[0]).argmin()) + 20  # as loud as the first, but of the other kind
    assert units[0] @ units[like] < 0.99
    assert nearest(units[0], units, count=1)[0].row == 0
    grouped = nearest(units[0], units, count=3, groups=["a"] * 20 + ["b"] * 20)
    assert len(grouped) == 2
    assert (space.units(space.middle[None]) == 0).all()


def test_the_strongest_directions_are_those_of_a_full_decomposition():
    values = np.random.default_rng(5).normal(size=(60, 40)) * np.linspace(9, 0.1, 40)
    axes, lengths = principal_axes(values, directions=4)
    _, expected, full = np.linalg.svd(values, full_matrices=False)
    assert np.allclose(lengths, expected[:4])
    assert np.allclose(np.abs((axes.T * full[:4]).sum(axis=1)), 1)
