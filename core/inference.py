"""Run a network over the tiles of a slide, for probabilities (`predict_tiles`) or embeddings (`embed_tiles`).

Both share the overlapped loop of `core.tile_loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.slides.protocol import SlideReader
from core.tile_loop import TileSink, TileWork, map_tiles
from core.tiles import TileGrid


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

    @property
    def parallel_calls(self) -> int:
        """How many threads should call `predict` at once: 1 on a GPU; on a CPU one single-threaded call a core.

        That does a quarter more than one call spread over all cores, because no core waits for another inside the
        network.
        """
        ...

    def predict(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return (N, classes) probabilities, each row summing to 1, for (N, H, W, 3) tiles.

        Raises:
            DeviceMemoryError: the batch is too large for the device.
        """
        ...


class TileEncoder(Protocol):
    """A network that describes a tile by a vector instead of judging it, whatever computes it."""

    @property
    def name(self) -> str:
        """Shown to users and kept with the vectors."""
        ...

    @property
    def embedding_size(self) -> int:
        """Length of a vector."""
        ...

    @property
    def parallel_calls(self) -> int:
        """As for `TileModel`."""
        ...

    def embed(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return (N, embedding_size) for (N, H, W, 3) tiles.

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
    classes = tuple(model.classes)
    work = TileWork(f"Model {model.name}", model.predict, len(classes), "classes", model.parallel_calls)
    probabilities = map_tiles(
        reader,
        grid,
        work,
        batch_size=batch_size,
        read_threads=read_threads,
        progress=progress,
        cancelled=cancelled,
        tile_sink=tile_sink,
        start=start,
        previous=previous,
        checkpoint=checkpoint,
    )
    return TilePredictions(grid, classes, probabilities)


def embed_tiles(
    reader: SlideReader,
    grid: TileGrid,
    encoder: TileEncoder,
    *,
    batch_size: int = 32,
    read_threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> NDArray[np.float32]:
    """Embed every tile of a grid; row i of the (N, embedding_size) result belongs to `grid.xy_level0[i]`.

    Args and Raises: as `predict_tiles`.
    """
    work = TileWork(
        f"Encoder {encoder.name}", encoder.embed, encoder.embedding_size, "dimensions", encoder.parallel_calls
    )
    return map_tiles(
        reader,
        grid,
        work,
        batch_size=batch_size,
        read_threads=read_threads,
        progress=progress,
        cancelled=cancelled,
    )
