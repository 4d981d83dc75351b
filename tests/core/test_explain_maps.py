"""Maps of tiles without any network: scaling, colours, agreement, sanity, superpixels, mass inside an outline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.explain import METHODS, Method, TileMap, agreement_of, overlay, randomised, relative, spread_of, superpixels
from core.explain.agreement import overlap, spearman, top_area
from core.explain.inside import mass_of
from core.explain.maps import MAP_STOPS, coloured, resized, smoothed
from core.heatmap import PROBABILITY_STOPS

MAPS = hnp.arrays(np.float32, (6, 7), elements=st.floats(-5, 5, width=32))


@settings(max_examples=40, deadline=None)
@given(MAPS)
def test_a_relative_map_keeps_sign_and_order_and_stays_within_one(values):
    found = relative(values)
    assert np.abs(found).max() <= 1
    assert (np.sign(found) == np.sign(values))[np.abs(values) > 1e-30].all()
    rising = np.argsort(values, axis=None)
    assert (np.diff(found.ravel()[rising]) >= -1e-6).all()


def test_the_colours_of_maps_are_not_those_of_probability():
    assert not {colour for _, colour in MAP_STOPS} & {colour for _, colour in PROBABILITY_STOPS}
    brown, clear, green = coloured(np.array([-1.0, 0.0, 1.0]))
    assert tuple(brown) == MAP_STOPS[0][1]
    assert tuple(clear) == MAP_STOPS[1][1]
    assert tuple(green) == MAP_STOPS[2][1]


def test_an_overlay_lies_where_the_map_is_and_leaves_the_rest_of_the_tile_alone():
    tile = np.full((40, 60, 3), 200, np.uint8)
    values = np.zeros((40, 60), np.float32)
    values[2:8, 50:58] = 1  # top right: neither transposed nor mirrored it is in the same place
    laid = overlay(tile, values, opacity=1)
    changed = (laid != tile).any(axis=-1)
    assert np.array_equal(changed, values > 0)
    assert np.array_equal(overlay(tile, values, opacity=0), tile)


def test_cells_grow_in_place():
    cells = np.zeros((4, 4), np.float32)
    cells[0, 3] = 1
    big = resized(cells, width=80, height=40)
    assert big.shape == (40, 80)
    assert np.unravel_index(big.argmax(), big.shape)[0] < 10
    assert np.unravel_index(big.argmax(), big.shape)[1] >= 60
    assert big[20:].max() == 0


def test_smoothing_keeps_the_mass_in_the_middle():
    values = np.zeros((50, 50), np.float32)
    values[25, 25] = 1
    assert smoothed(values).sum() == pytest.approx(1, abs=1e-3)
    assert 0 < smoothed(values)[25, 25] < 0.1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 2, 3, 4], [10, 20, 30, 40], 1.0), ([1, 2, 3, 4], [4, 3, 2, 1], -1.0), ([1, 2, 3, 4], [5, 5, 5, 5], 0.0)],
)
def test_rank_correlation_of_known_maps(first, second, expected):
    assert spearman(np.array(first), np.array(second)) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(MAPS, MAPS)
def test_rank_correlation_is_that_of_scipy(first, second):
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert spearman(first, second) == 0
    else:
        assert spearman(first, second) == pytest.approx(spearmanr(first.ravel(), second.ravel()).statistic, abs=1e-6)


def test_strongest_areas_and_their_overlap():
    values = np.arange(100, dtype=np.float32).reshape(10, 10)
    top = top_area(values, share=0.2)
    assert top.sum() == 20
    assert top[8:].all()
    assert overlap(top, top) == 1
    assert overlap(top, ~top) == 0
    half = top.copy()
    half[8] = False
    assert overlap(top, half) == 0.5
    assert not top_area(-values).any(), "what speaks against the target is no support"


def test_a_map_that_stands_apart_is_named():
    rng = np.random.default_rng(0)
    base = rng.random((30, 30)).astype(np.float32)
    near = [TileMap(method, base + 0.05 * rng.random((30, 30)).astype(np.float32), "x") for method in list(Method)[:3]]
    odd = TileMap(Method.LIME, base[::-1, ::-1].copy(), "x")
    assert not agreement_of(near).disagree
    found = agreement_of([*near, odd])
    assert found.disagree
    assert Method.LIME in found.apart
    assert len(found.pairs) == 6
    with pytest.raises(ValueError, match="same pixels"):
        agreement_of([near[0], TileMap(Method.LIME, base[:5], "x")])


def test_a_map_that_does_not_change_with_the_weights_is_uninformative():
    rng = np.random.default_rng(1)
    edges = rng.random((20, 20))
    same = randomised(Method.GRAD_CAM, edges, [edges + 0.01 * rng.random((20, 20)), -edges])
    assert same.correlation > 0.9, "a map turned inside out is the same picture"
    assert not same.is_informative
    other = randomised(Method.GRAD_CAM, edges, [rng.random((20, 20))])
    assert other.is_informative
    assert randomised(Method.LIME, edges, [np.zeros((20, 20))]).is_informative


def test_spread_of_weights_over_seeds():
    steady = spread_of(np.array([[0.5, -0.2, 0.0], [0.5, -0.2, 0.0]]))
    assert (steady.relative, steady.is_stable) == (0.0, True)
    shaky = spread_of(np.array([[0.5, -0.2], [-0.5, 0.6]]))
    assert not shaky.is_stable
    # By hand: deviations .7071 and .5657 of two seeds, over the strongest mean of .2.
    assert shaky.relative == pytest.approx((0.70711 + 0.56569) / 2 / 2**0.5 / 0.2, rel=1e-4)
    assert spread_of(np.zeros((3, 4))).relative == 1.0
    with pytest.raises(ValueError, match="two seeds"):
        spread_of(np.zeros((1, 4)))


def test_superpixels_are_connected_follow_colour_and_repeat():
    from scipy.ndimage import label

    tile = np.full((48, 48, 3), (230, 190, 215), np.uint8)
    tile[:, 20:] = (90, 50, 130)  # a border that no square grid of 6 has
    pieces = superpixels(tile, count=36)
    assert np.array_equal(pieces, superpixels(tile, count=36))
    numbers = np.unique(pieces)
    assert np.array_equal(numbers, np.arange(len(numbers)))
    assert 20 <= len(numbers) <= 50
    assert all(label(pieces == number)[1] == 1 for number in numbers)
    assert not set(pieces[:, :20].ravel()) & set(pieces[:, 20:].ravel()), "no piece crosses the border"
    with pytest.raises(ValueError, match="at least one piece"):
        superpixels(tile, count=0)


def test_a_blank_tile_has_superpixels_as_well():
    pieces = superpixels(np.full((50, 50, 3), 255, np.uint8), count=36)
    assert pieces.shape == (50, 50)
    assert len(np.unique(pieces)) >= 16


def test_mass_inside_an_outline():
    values = np.array([[4.0, 2.0], [0.0, -8.0]])
    mask = np.array([[True, False], [False, False]])
    found = mass_of(values, mask)
    assert (found.inside, found.outside, found.area) == (4.0, pytest.approx(2 / 3), 0.25)
    assert found.share == pytest.approx(4 / 6)
    assert found.is_inside
    with pytest.raises(ValueError, match="part of the tile"):
        mass_of(values, np.ones((2, 2), np.bool_))


def test_every_method_says_what_it_asks_and_where_it_comes_from():
    assert list(METHODS) == list(Method)
    assert all(facts.asks.endswith(".") and "arXiv" in facts.source for facts in METHODS.values())
