from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.domain import Mpp, MppSource, Region, Size
from core.errors import CancelledError, DeviceMemoryError, InputError, ModelError, UnreadableSlideError
from core.inference import TileModel, predict_tiles
from core.slides import RgbImage, SlideInfo, SlideReader, open_slide
from core.tiles import TileGrid, TileSpec, tile_grid

SIDE = 64


class CountingSlide:
    """A slide whose tile number n has the colour n; no file."""

    def __init__(self, columns: int, rows: int, *, broken_at: int | None = None) -> None:
        self.columns, self.rows, self.broken_at = columns, rows, broken_at
        self.info = SlideInfo(Path("counting"), Size(columns * SIDE, rows * SIDE), (), "none", None, None)
        self.read_order: list[int] = []

    def read(self, region: Region, out: Size) -> RgbImage:
        number = region.y // SIDE * self.columns + region.x // SIDE
        self.read_order.append(number)
        if number == self.broken_at:
            raise UnreadableSlideError("It broke.")
        return np.full((out.height, out.width, 3), number, np.uint8)

    def thumbnail(self, max_px: int) -> RgbImage:
        raise NotImplementedError

    def close(self) -> None: ...

    def __enter__(self) -> CountingSlide:
        return self

    def __exit__(self, *exc_info: object) -> None: ...


@dataclass
class ColourModel:
    """Says the colour of a tile as a probability, and bears at most `bears` tiles at once."""

    bears: int = 1000
    name: str = "colour"
    classes: tuple[str, ...] = ("rest", "colour")
    tile_px: int = 8
    mpp: float = 8.0
    device: str = "numpy"
    parallel_calls: int = 1
    sizes: list[int] = field(default_factory=list)

    def predict(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        self.sizes.append(len(tiles))
        if len(tiles) > self.bears:
            raise DeviceMemoryError("Too many.")
        colour = tiles[:, 0, 0, 0].astype(np.float32) / 255
        return np.stack([1 - colour, colour], axis=1)


def grid_of(slide: CountingSlide) -> TileGrid:
    spec = TileSpec(float(SIDE), mpp=8.0)
    return tile_grid(slide.info.size, Mpp(1, 1, MppSource.USER), spec=spec, mask=None)


def tile_numbers(probabilities: NDArray[np.float32]) -> list[int]:
    return np.rint(probabilities[:, 1] * 255).astype(int).tolist()


@pytest.mark.parametrize(("batch", "read", "compute"), [(1, 1, 1), (7, 4, 1), (7, 3, 3), (32, 2, 2), (100, 2, 1)])
def test_row_i_belongs_to_tile_i_whatever_the_threads(batch: int, read: int, compute: int) -> None:
    slide, model = CountingSlide(10, 7), ColourModel(parallel_calls=compute)
    result = predict_tiles(slide, grid_of(slide), model, batch_size=batch, read_threads=read)
    assert tile_numbers(result.probabilities) == list(range(70))
    assert sorted(slide.read_order) == list(range(70))
    assert result.classes == ("rest", "colour")
    assert result.probabilities.dtype == np.float32


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    slide, model = CountingSlide(10, 4), ColourModel(bears=3)
    result = predict_tiles(slide, grid_of(slide), model, batch_size=16)
    assert tile_numbers(result.probabilities) == list(range(40))
    assert model.sizes[:4] == [16, 8, 4, 2]
    assert max(model.sizes[3:]) == 2  # what failed once is not tried again


def test_out_of_memory_with_a_single_tile_is_an_error() -> None:
    slide = CountingSlide(4, 4)
    with pytest.raises(DeviceMemoryError, match="Too many"):
        predict_tiles(slide, grid_of(slide), ColourModel(bears=0))


def test_cancelled_run_resumes_from_its_checkpoint_to_the_same_result() -> None:
    slide, model = CountingSlide(10, 6), ColourModel()
    saved: list[tuple[int, NDArray[np.float32]]] = []
    with pytest.raises(CancelledError, match="cancelled"):
        predict_tiles(
            slide,
            grid_of(slide),
            model,
            batch_size=8,
            checkpoint=lambda done, rows: saved.append((done, rows.copy())),
            cancelled=lambda: len(saved) == 3,
        )
    done, rows = saved[-1]
    assert (done, rows.shape) == (24, (24, 2))
    assert threading.active_count() == 1 or not any(t.name.startswith("tile-") for t in threading.enumerate())
    slide.read_order.clear()
    result = predict_tiles(slide, grid_of(slide), model, batch_size=8, start=done, previous=rows)
    assert tile_numbers(result.probabilities) == list(range(60))
    assert min(slide.read_order) == 24


def test_reading_stays_a_few_batches_ahead() -> None:
    slide = CountingSlide(16, 15)
    seen: list[int] = []

    class Watching(ColourModel):
        def predict(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
            seen.append(len(slide.read_order) - 4 * len(seen))
            return super().predict(tiles)

    predict_tiles(slide, grid_of(slide), Watching(), batch_size=4, read_threads=2)
    assert max(seen) <= 4 * 6  # 2 read + 1, 2 handed on, 1 computed: never the whole slide


def test_progress_and_sink_see_every_tile_once() -> None:
    slide = CountingSlide(9, 5)
    steps: list[tuple[int, int]] = []
    colours = np.full(45, -1)

    def sink(tiles: NDArray[np.uint8], rows: slice) -> None:
        assert (colours[rows] == -1).all()
        colours[rows] = tiles[:, 0, 0, 0]

    def progress(done: int, total: int) -> None:
        assert (colours[:done] >= 0).all()  # quality is known for all that is reported as done
        steps.append((done, total))

    predict_tiles(slide, grid_of(slide), ColourModel(), batch_size=20, progress=progress, tile_sink=sink)
    assert steps == [(20, 45), (40, 45), (45, 45)]
    assert colours.tolist() == list(range(45))


def test_empty_grid_and_finished_run_do_nothing() -> None:
    slide, model = CountingSlide(2, 2), ColourModel()
    grid = grid_of(slide)
    finished = np.full((4, 2), 0.5, np.float32)
    result = predict_tiles(slide, grid, model, start=4, previous=finished)
    assert (result.probabilities == finished).all()
    assert model.sizes == []


def test_a_slide_that_breaks_while_being_read_says_so() -> None:
    slide = CountingSlide(10, 4, broken_at=25)
    with pytest.raises(UnreadableSlideError, match="It broke"):
        predict_tiles(slide, grid_of(slide), ColourModel(), batch_size=4)


@pytest.mark.parametrize(
    ("start", "previous"),
    [(5, None), (0, np.zeros((3, 2), np.float32)), (4, np.zeros((4, 3), np.float32)), (99, None), (-1, None)],
)
def test_checkpoint_that_does_not_fit_is_refused(start: int, previous: NDArray[np.float32] | None) -> None:
    slide = CountingSlide(4, 4)
    with pytest.raises(InputError, match="afresh"):
        predict_tiles(slide, grid_of(slide), ColourModel(), start=start, previous=previous)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(np.zeros((16, 3), np.float32), "do not belong together"), (np.full((16, 2), np.nan, np.float32), "no numbers")],
)
def test_senseless_model_output_is_refused(value: NDArray[np.float32], sentence: str) -> None:
    class Senseless(ColourModel):
        def predict(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:  # noqa: ARG002
            return value

    slide = CountingSlide(4, 4)
    with pytest.raises(ModelError, match=sentence):
        predict_tiles(slide, grid_of(slide), Senseless())


def test_real_pixels_reach_the_model(synthetic_slide: Path, fake_model: TileModel) -> None:
    reader: SlideReader
    with open_slide(synthetic_slide) as reader:
        mpp = reader.info.mpp
        assert mpp is not None
        grid = tile_grid(reader.info.size, mpp, spec=TileSpec(128.0, mpp=2.0), mask=None)
        result = predict_tiles(reader, grid, fake_model, batch_size=5)
    dark = result.probabilities[:, 1].reshape(6, 8)
    assert dark[[0, -1]].max() < 0.1  # glass
    assert dark[2:4, 2:6].min() > 0.25  # tissue
