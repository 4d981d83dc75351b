from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain import Mpp, MppSource, Size
from core.errors import InputError
from core.tiles import TileSpec, tile_grid
from core.tissue import TissueMask

ONE = Mpp(1.0, 1.0, MppSource.USER)


def mask_of(rows: list[str], *, downsample: tuple[float, float]) -> TissueMask:
    return TissueMask(np.array([[cell == "#" for cell in row] for row in rows]), downsample=downsample, area_mm2=0.0)


@pytest.mark.parametrize(
    ("size", "um", "stride", "xs", "ys"),
    [
        (Size(10, 10), 5, None, [0, 5], [0, 5]),
        (Size(11, 10), 5, None, [0, 5, 10], [0, 5]),  # the last column reaches beyond the slide
        (Size(3, 3), 5, None, [0], [0]),  # a slide smaller than a tile
        (Size(10, 5), 5, 2.5, [0, 2, 4, 6], [0]),  # 2.5 rounds to 2; the tile at 6 is the first to pass the edge
        (Size(10, 5), 4, 6, [0, 6], [0, 6]),  # gaps where the stride is larger than the tile
        (Size(11, 1), 1, 5, [0, 5, 10], [0]),
    ],
)
def test_layout_row_by_row(size: Size, um: float, stride: float | None, xs: list[int], ys: list[int]) -> None:
    grid = tile_grid(size, ONE, spec=TileSpec(um, mpp=1.0, stride_um=stride), mask=None)
    assert grid.xy_level0.tolist() == [[x, y] for y in ys for x in xs]
    assert (grid.total, dict(grid.dropped), len(grid)) == (len(xs) * len(ys), {}, len(xs) * len(ys))
    assert grid.xy_level0.dtype == np.int32


def test_size_is_in_micrometres_along_each_axis() -> None:
    grid = tile_grid(Size(2000, 2000), Mpp(0.25, 0.5, MppSource.OPENSLIDE), spec=TileSpec(112, mpp=0.5), mask=None)
    assert grid.size_level0 == Size(448, 224)
    assert grid.size_px == 224
    assert grid.xy_level0[:2].tolist() == [[0, 0], [448, 0]]
    assert (grid.region(1).right, grid.region(1).bottom) == (896, 224)


@pytest.mark.parametrize(
    ("least", "kept"),
    [
        (0.0, [[0, 0], [4, 0], [8, 0], [0, 4], [4, 4], [8, 4]]),
        (0.25, [[0, 0], [4, 0], [4, 4]]),
        (0.5, [[0, 0], [4, 4]]),
        (1.0, [[4, 4]]),
    ],
)
def test_tiles_are_kept_by_their_share_of_tissue(least: float, kept: list[list[int]]) -> None:
    mask = mask_of(["##...", "##.#.", "..##.", "..##."], downsample=(2.0, 2.0))
    mask.mask[0, 0] = mask.mask[1, 1] = False  # the first tile is half tissue, the fifth all
    grid = tile_grid(Size(10, 8), ONE, spec=TileSpec(4, mpp=1.0, min_tissue_fraction=least), mask=mask)
    assert grid.xy_level0.tolist() == kept
    assert grid.dropped == {"background": 6 - len(kept)}
    assert grid.total == 6


@settings(deadline=None)  # other work on the machine must not fail a test
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    mpp_x=st.floats(0.2, 3),
    mpp_y=st.floats(0.2, 3),
    size_um=st.floats(5, 150),
    overlap=st.floats(0.2, 1.0),
    tissue=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
def test_invariants_of_any_grid(
    width: int, height: int, mpp_x: float, mpp_y: float, size_um: float, overlap: float, tissue: float, seed: int
) -> None:
    size, mpp = Size(width, height), Mpp(mpp_x, mpp_y, MppSource.USER)
    spec = TileSpec(size_um, mpp=1.0, stride_um=size_um * overlap)
    every = tile_grid(size, mpp, spec=spec, mask=None)
    covered = np.zeros((height, width), bool)
    for index in range(len(every)):
        region = every.region(index)
        assert 0 <= region.x < width
        assert 0 <= region.y < height
        covered[region.y : region.bottom, region.x : region.right] = True
    assert covered.all()
    order = [(y, x) for x, y in every.xy_level0.tolist()]
    assert order == sorted(set(order))
    cells = np.random.default_rng(seed).random((7, 9)) < tissue
    mask = TissueMask(cells, downsample=(width / 9, height / 7), area_mm2=0.0)
    some = tile_grid(size, mpp, spec=spec, mask=mask)
    assert len(some) + sum(some.dropped.values()) == some.total == len(every)
    kept = {(x, y) for x, y in some.xy_level0.tolist()}
    assert kept <= {(x, y) for y, x in order}


@pytest.mark.parametrize(
    "values",
    [{"size_um": 0.0}, {"mpp": -1.0}, {"stride_um": 0.0}, {"size_um": float("nan")}, {"min_tissue_fraction": 1.5}],
)
def test_impossible_specification_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        TileSpec(**({"size_um": 100.0, "mpp": 1.0} | values))


def test_a_tile_without_a_pixel_and_a_grid_without_end_are_refused() -> None:
    with pytest.raises(InputError, match="has no pixel"):
        TileSpec(1.0, mpp=4.0)
    with pytest.raises(InputError, match="tiles on this slide"):
        tile_grid(Size(100_000, 100_000), ONE, spec=TileSpec(2, mpp=1.0), mask=None)
