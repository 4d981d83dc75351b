"""Tile values in the slide's frame, to the last partial tile; the scale bar; the class a model looks for."""

import numpy as np
import pandas as pd
import pytest

from core.services.analysis.tile_columns import target_name
from core.services.viewing.display import RULE_MEANINGS, cells_of, positive_class, scale_bar_um
from models.cards import list_cards


def tiles(rows: list[tuple[int, int, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"x": x, "y": y, "width": size, "height": size, "prob_tumour": value} for x, y, size, value in rows]
    )


def test_all_four_corners_of_a_slide_that_tiles_do_not_divide():
    """250 x 130 px under tiles of 100 px: the last column is 50 px wide, the last row 30 px high."""
    corners = tiles([(0, 0, 100, 0.1), (200, 0, 100, 0.2), (0, 100, 100, 0.3), (200, 100, 100, 0.4)])
    cells = cells_of(corners, column="prob_tumour", width=250, height=130)
    assert cells.x_edges.tolist() == [0, 100, 200, 250]
    assert cells.y_edges.tolist() == [0, 100, 130]
    np.testing.assert_allclose(cells.values, [[0.1, np.nan, 0.2], [0.3, np.nan, 0.4]])


def test_overlapping_tiles_show_their_mean_where_they_overlap():
    cells = cells_of(tiles([(0, 0, 100, 0.2), (50, 0, 100, 0.6)]), column="prob_tumour", width=150, height=100)
    assert cells.x_edges.tolist() == [0, 50, 100, 150]
    np.testing.assert_allclose(cells.values, [[0.2, 0.4, 0.6]])


def test_the_threshold_clears_what_is_below_and_keeps_what_reaches_it():
    cells = cells_of(tiles([(0, 0, 10, 0.49), (10, 0, 10, 0.5)]), column="prob_tumour", width=20, height=10)
    np.testing.assert_array_equal(cells.from_threshold(0.5), [[np.nan, 0.5]])


def test_no_tiles_give_an_empty_grid():
    empty = tiles([(0, 0, 10, 0.5)]).iloc[:0]
    assert cells_of(empty, column="prob_tumour", width=20, height=10).values.size == 0


@pytest.mark.parametrize(
    ("width_um", "bar_um"),
    [(100, 20), (1000, 200), (4600, 1000), (9100, 2000), (22_727.3, 5000), (45, 5), (50_000, 10_000)],
)
def test_the_scale_bar_is_1_2_or_5_and_fits(width_um, bar_um):
    assert scale_bar_um(width_um) == pytest.approx(bar_um)
    assert bar_um <= 0.22 * width_um * 1.001


def test_a_model_without_a_card_is_read_by_its_last_class():
    assert positive_class("no such model", ["benign", "tumour"]) == "tumour"


def test_every_rule_has_a_meaning_and_the_default_comes_first():
    assert next(iter(RULE_MEANINGS)) == "top_k_mean"
    assert all(RULE_MEANINGS.values())


def test_the_positive_class_of_a_shipped_model_is_what_its_card_looks_for():
    for card in list_cards():
        wanted = target_name(card.positive_classes)
        shown = list(dict.fromkeys([*card.classes, wanted]))
        assert positive_class(card.name, shown) == wanted
