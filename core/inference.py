"""Run a model over the tiles of a slide: reading overlaps with computing, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.domain import Size
from core.errors import CancelledError, DeviceMemoryError, InputError, ModelError
from core.slides.protocol import SlideReader
from core.tiles import TileGrid

BATCHES_AHEAD = 1
"""Batches read beyond one for each reading thread: enough to hide an uneven batch, few enough to bound memory."""

TileSink = Callable[[NDArray[np.uint8], slice], None]
"""Receives the pixels of tiles and their rows in the grid. Called from the reading threads, for disjoint slices in any
order, and before the progress or checkpoint that includes these rows; it must not change the pixels."""


class TileModel(Protocol):
    """A patch classifier, whatever computes it."""

    @property
    def name(self) -> str:
        """Name of the model's card."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the columns."""
        ...

    @property
    def tile_px(self) -> int:
        """Edge of the tiles it expects."""
        ...

    @property
    def mpp(self) -> float:
        """um/px of the tiles it expects."""
        ...

    @property
    def device(self) -> str:
        """What it computes on, in words, e.g. "cpu (bf16, 2 threads)"."""
        ...

    def predict(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return (N, classes) probabilities, each row summing to 1, for (N, H, W, 3) tiles.

        Raises:
            DeviceMemoryError: the batch is too large for the device.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TilePredictions:
    """What a model says about every tile of a grid."""

    grid: TileGrid
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    """(N, C); row i belongs to `grid.xy_level0[i]`."""


def predict_tiles(
    reader: SlideReader,
    grid: TileGrid,
    model: TileModel,
    *,
    batch_size: int = 32,
    read_threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    tile_sink: TileSink | None = None,
    start: int = 0,
    previous: NDArray[np.float32] | None = None,
    checkpoint: Callable[[int, NDArray[np.float32]], None] | None = None,
) -> TilePredictions:
    """Predict every tile of a grid.

    Args:
        reader: The slide.
        grid: Its tiles.
        model: The classifier.
        batch_size: Most tiles handed to the model at once; halved whenever the device runs out of memory.
        read_threads: Threads that read tiles while the model computes.
        progress: Called after every batch with tiles done and tiles in all.
        cancelled: Asked before every batch.
        tile_sink: Sees the pixels of every tile that is read, for instance to measure quality; see `TileSink`.
        start: Rows that an earlier, interrupted run has done.
        previous: (start, C) probabilities of these rows.
        checkpoint: Called after every batch with the rows done and all their probabilities (a view; copy to keep).

    Raises:
        CancelledError: `cancelled` said so; the last checkpoint holds what was done.
        DeviceMemoryError: not even one tile fits on the device.
        UnreadableSlideError: the slide broke while being read.
        InputError: `start` and `previous` do not fit the grid and the model.
        ModelError: the model returned something that is not a row of probabilities for each tile.
    """
    probabilities = _allocate(grid, model, start=start, previous=previous)
    runner = _HalvingRunner(model, batch_size)
    with _batches(reader, grid, start=start, batch=batch_size, threads=read_threads, sink=tile_sink) as batches:
        while True:
            if cancelled is not None and cancelled():
                raise CancelledError("The analysis was cancelled. Run it again to go on from its last checkpoint.")
            batch = next(batches, None)
            if batch is None:
                break
            rows, tiles = batch
            probabilities[rows] = runner.predict(tiles)
            if checkpoint is not None:
                checkpoint(rows.stop, probabilities[: rows.stop])
            if progress is not None:
                progress(rows.stop, len(grid))
    return TilePredictions(grid, tuple(model.classes), probabilities)


class _HalvingRunner:
    """Calls the model with batches no larger than the device has been seen to bear."""

    def __init__(self, model: TileModel, batch_size: int) -> None:
        self._model = model
        self._limit = batch_size

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, C) probabilities, in as many parts as needed."""
        parts: list[NDArray[np.float32]] = []
        done = 0
        while done < len(tiles):
            part = tiles[done : done + self._limit]
            try:
                parts.append(self._checked(part))
            except DeviceMemoryError:
                if len(part) == 1:
                    raise
                self._limit = len(part) // 2
                continue
            done += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _checked(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        result = self._model.predict(tiles)
        if result.shape != (len(tiles), len(self._model.classes)):
            raise ModelError(
                f"Model {self._model.name} returned an array of shape {result.shape} for {len(tiles)} tiles and "
                f"{len(self._model.classes)} classes. Its card and its weights do not belong together."
            )
        if not np.isfinite(result).all():
            raise ModelError(f"Model {self._model.name} returned values that are no numbers. Check its weights.")
        return result


def _allocate(
    grid: TileGrid, model: TileModel, *, start: int, previous: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    probabilities = np.zeros((len(grid), len(model.classes)), np.float32)
    if not 0 <= start <= len(grid):
        raise InputError(f"A run cannot go on at tile {start} of {len(grid)}. Start it afresh.")
    shape = (0, len(model.classes)) if previous is None else previous.shape
    if shape != (start, len(model.classes)):
        raise InputError(f"The checkpoint has shape {shape}, not {(start, len(model.classes))}. Start the run afresh.")
    if previous is not None:
        probabilities[:start] = previous
    return probabilities


@contextmanager
def _batches(
    reader: SlideReader, grid: TileGrid, *, start: int, batch: int, threads: int, sink: TileSink | None
) -> Iterator[Iterator[tuple[slice, NDArray[np.uint8]]]]:
    """Offer the batches in grid order, read ahead by a few; on leaving, whatever is not yet read is dropped."""
    rows = iter([slice(first, min(first + batch, len(grid))) for first in range(start, len(grid), batch)])
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="tile-reader")
    waiting: deque[Future[tuple[slice, NDArray[np.uint8]]]] = deque()

    def ahead() -> None:
        for part in rows:
            waiting.append(pool.submit(_read_batch, reader, grid, part, sink))
            if len(waiting) >= threads + BATCHES_AHEAD:
                return

    def in_order() -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        ahead()
        while waiting:
            done = waiting.popleft().result()
            ahead()
            yield done

    try:
        yield in_order()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read_batch(
    reader: SlideReader, grid: TileGrid, rows: slice, sink: TileSink | None
) -> tuple[slice, NDArray[np.uint8]]:
    out = Size(grid.size_px, grid.size_px)
    tiles = np.empty((rows.stop - rows.start, grid.size_px, grid.size_px, 3), np.uint8)
    for slot, index in enumerate(range(rows.start, rows.stop)):
        tiles[slot] = reader.read(grid.region(index), out)
    if sink is not None:
        sink(tiles, rows)
    return rows, tiles
