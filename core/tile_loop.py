"""The loop over the tiles of a slide: reading overlaps with computing, in bounded memory.

One loop serves everything that turns tiles into rows of numbers: probabilities, embeddings, or both at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.domain import Size
from core.errors import CancelledError, DeviceMemoryError, InputError, ModelError
from core.slides.protocol import SlideReader
from core.tiles import TileGrid

Item = TypeVar("Item")
Result = TypeVar("Result")

TileSink = Callable[[NDArray[np.uint8], slice], None]
"""Receives the pixels of tiles and their rows in the grid. Called from the reading threads, for disjoint slices in any
order, and before the progress or checkpoint that includes these rows; it must not change the pixels."""


@dataclass(frozen=True, slots=True)
class TileWork:
    """What is computed for every tile, and how it may be called."""

    name: str
    """Of the network, for sentences: "Model idc"."""
    compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    """(N, H, W, 3) uint8 -> (N, columns) float32; may raise DeviceMemoryError."""
    columns: int
    """Numbers per tile."""
    unit: str
    """What a column is, in the plural: "classes", "dimensions"."""
    parallel_calls: int
    """Threads that call `compute` at once."""


def map_tiles(
    reader: SlideReader,
    grid: TileGrid,
    work: TileWork,
    *,
    batch_size: int,
    read_threads: int,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    tile_sink: TileSink | None = None,
    start: int = 0,
    previous: NDArray[np.float32] | None = None,
    checkpoint: Callable[[int, NDArray[np.float32]], None] | None = None,
) -> NDArray[np.float32]:
    """Return (N, columns): what `work` computes for every tile of a grid.

    Args:
        reader: The slide.
        grid: Its tiles.
        work: What to compute.
        batch_size: Most tiles computed at once; halved whenever the device runs out of memory.
        read_threads: Threads that read tiles while others compute.
        progress: Called after every batch with tiles done and tiles in all.
        cancelled: Asked before every batch.
        tile_sink: Sees the pixels of every tile that is read; see `TileSink`.
        start: Rows that an earlier, interrupted run has done.
        previous: (start, columns) values of these rows.
        checkpoint: Called after every batch with the rows done and all their values (a view; copy to keep).

    Raises:
        CancelledError: `cancelled` said so; the last checkpoint holds what was done.
        DeviceMemoryError: not even one tile fits on the device.
        UnreadableSlideError: the slide broke while being read.
        InputError: `start` and `previous` do not fit the grid and the work.
        ModelError: the result is not one finite row for each tile.
    """
    values = _allocate(grid, work, start=start, previous=previous)
    runner = HalvingRunner(work, batch_size)
    rows_of_batches = [slice(a, min(a + batch_size, len(grid))) for a in range(start, len(grid), batch_size)]
    with ExitStack() as stack:
        # Left in reverse order: computing, which waits for batches that are read, ends before reading does.
        reading = stack.enter_context(_pool("tile-reader", read_threads))
        computing = stack.enter_context(_pool("tile-model", work.parallel_calls))
        batches = _in_order(
            reading, lambda rows: _read_batch(reader, grid, rows, tile_sink), rows_of_batches, ahead=read_threads + 1
        )
        results = _in_order(computing, runner.run, batches, ahead=work.parallel_calls + 1)
        for rows in rows_of_batches:
            if cancelled is not None and cancelled():
                raise CancelledError("The analysis was cancelled. Run it again to go on from its last checkpoint.")
            values[rows] = next(results)
            if checkpoint is not None:
                checkpoint(rows.stop, values[: rows.stop])
            if progress is not None:
                progress(rows.stop, len(grid))
    return values


class HalvingRunner:
    """Computes batches no larger than the device has been seen to bear."""

    def __init__(self, work: TileWork, batch_size: int) -> None:
        self._work = work
        self._limit = batch_size

    def run(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, columns), computed in as many parts as needed."""
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
        work = self._work
        result = work.compute(tiles)
        if result.shape != (len(tiles), work.columns):
            raise ModelError(
                f"{work.name} returned an array of shape {result.shape} for {len(tiles)} tiles and {work.columns} "
                f"{work.unit}. Its description and its weights do not belong together."
            )
        if not np.isfinite(result).all():
            raise ModelError(f"{work.name} returned values that are no numbers. Check its weights.")
        return result


def _allocate(
    grid: TileGrid, work: TileWork, *, start: int, previous: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    values = np.zeros((len(grid), work.columns), np.float32)
    if not 0 <= start <= len(grid):
        raise InputError(f"A run cannot go on at tile {start} of {len(grid)}. Start it afresh.")
    shape = (0, work.columns) if previous is None else previous.shape
    if shape != (start, work.columns):
        raise InputError(f"The checkpoint has shape {shape}, not {(start, work.columns)}. Start the run afresh.")
    if previous is not None:
        values[:start] = previous
    return values


@contextmanager
def _pool(name: str, threads: int) -> Generator[ThreadPoolExecutor]:
    """A thread pool that, on leaving, drops what has not begun and waits for what has."""
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    """Yield the results of `work` in the order of the items, with at most `ahead` items begun and not yet taken."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read_batch(reader: SlideReader, grid: TileGrid, rows: slice, sink: TileSink | None) -> NDArray[np.uint8]:
    out = Size(grid.size_px, grid.size_px)
    tiles = np.empty((rows.stop - rows.start, grid.size_px, grid.size_px, 3), np.uint8)
    for slot, index in enumerate(range(rows.start, rows.stop)):
        tiles[slot] = reader.read(grid.region(index), out)
    if sink is not None:
        sink(tiles, rows)
    return tiles
