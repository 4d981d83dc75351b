"""The heatmap lies exactly on the slide, to the last partly filled tile in all four corners."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Size
from core.heatmap import colourise, value_image


def grid(slide: Size, tile: int):
    xs, ys = np.meshgrid(np.arange(0, slide.width, tile), np.arange(0, slide.height, tile))
    return np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.int32)


def test_literal_image_with_a_partial_last_column_and_row():
    slide = Size(50, 30)  # tiles of 20: columns 0, 20, 40 (half), rows 0, 20 (half)
    xy = grid(slide, 20)
    image = value_image(xy, Size(20, 20), np.arange(6, dtype=np.float32), slide=slide, out=Size(5, 3))
    assert image.tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


@pytest.mark.parametrize("slide", [Size(1000, 700), Size(1003, 777), Size(2048, 512)])
@pytest.mark.parametrize("longest", [64, 173, 1000])
def test_four_corners_show_their_own_tile(slide, longest):
    xy = grid(slide, 128)
    scale = longest / max(slide.width, slide.height)
    out = Size(max(1, round(slide.width * scale)), max(1, round(slide.height * scale)))
    image = value_image(xy, Size(128, 128), np.arange(len(xy), dtype=np.float32), slide=slide, out=out)
    columns = len(range(0, slide.width, 128))
    rows = len(range(0, slide.height, 128))

    def expected(px: int, py: int) -> int:
        x, y = (px + 0.5) * slide.width / out.width, (py + 0.5) * slide.height / out.height
        return int(y // 128) * columns + int(x // 128)

    for px, py in [(0, 0), (out.width - 1, 0), (0, out.height - 1), (out.width - 1, out.height - 1)]:
        assert image[py, px] == expected(px, py)
    assert image[-1, -1] == rows * columns - 1


@given(st.integers(40, 400), st.integers(40, 400), st.integers(7, 90), st.integers(5, 120))
def test_every_pixel_shows_the_tile_under_its_centre(width, height, tile, out_width):
    slide, out = Size(width, height), Size(out_width, max(1, round(out_width * height / width)))
    xy = grid(slide, tile)
    image = value_image(xy, Size(tile, tile), np.arange(len(xy), dtype=np.float32), slide=slide, out=out)
    columns = len(range(0, width, tile))
    xs = (2 * np.arange(out.width) + 1) * width // (2 * out.width * tile)
    ys = (2 * np.arange(out.height) + 1) * height // (2 * out.height * tile)
    np.testing.assert_array_equal(image, ys[:, None] * columns + xs[None, :])


def test_dropped_tiles_stay_empty_and_overlaps_are_averaged():
    xy = np.array([[0, 0], [10, 0]], np.int32)
    image = value_image(xy, Size(20, 20), np.array([0.2, 0.6], np.float32), slide=Size(40, 20), out=Size(4, 2))
    np.testing.assert_allclose(image[0], [0.2, 0.4, 0.6, np.nan], rtol=1e-6)


def test_colours_are_linear_red_for_suspicious_and_transparent_without_tissue():
    rgba = colourise(np.array([[0.0, 0.5, 1.0, np.nan]], np.float32), opacity=0.4)
    assert rgba[0].tolist() == [[255, 247, 236, 102], [252, 141, 89, 102], [127, 0, 0, 102], [255, 247, 236, 0]]
