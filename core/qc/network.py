"""The artefact network over a slide: tiles that overlap by half, blended to a probability at every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from threading import BoundedSemaphore, Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ModelError
from core.inference import TileModel
from core.qc.classes import CLASSES, ArtefactClass
from core.qc.survey import Block, SurveyScale
from core.slides.protocol import RgbImage
from core.tissue import TissueMask, area_fraction

MIN_TISSUE = 0.05
"""Share of tissue a tile needs to be looked at."""
BATCH = 64
"""Tiles handed to the network at once."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkField:
    """What the network says, at the centres of tiles that overlap by half."""

    probabilities: NDArray[np.float32]
    """(rows, columns, classes); sample (r, c) belongs to map pixel (r + 1, c + 1) * `cell_px`."""
    seen: NDArray[np.bool_]
    """(rows, columns) whether the tile held tissue and was looked at."""
    cell_px: float
    """Map pixels from sample to sample: half a tile."""

    def spread(self, kind: ArtefactClass, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the probability of one class at every map pixel, (H, W): the mean of the overlapping tiles.

        Each tile counts the more the nearer its centre is; tiles that were not looked at do not count.
        """
        weight = self._stretched(self.seen.astype(np.float32), shape)
        values = self._stretched(self.probabilities[..., kind.code] * self.seen, shape)
        return np.asarray(values / np.maximum(weight, 1e-6), np.float32)

    def looked_at(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return (H, W) where some tile says something."""
        return self._stretched(self.seen.astype(np.float32), shape) > 1e-3

    def _stretched(self, values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
        framed = np.pad(values, ((1, 0), (1, 0)), mode="edge")
        right, bottom = shape[1] / self.cell_px + 0.5, shape[0] / self.cell_px + 0.5
        box = (0.5, 0.5, min(right, framed.shape[1]), min(bottom, framed.shape[0]))
        image = Image.fromarray(framed).resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box=box)
        return np.asarray(image, np.float32)


class NetworkSink:
    """Collects the network's word on every block of a survey; blocks may come from several threads."""

    def __init__(self, model: TileModel, mask: TissueMask, scale: SurveyScale) -> None:
        """Prepare an empty field.

        Args:
            model: Its classes must be those of `CLASSES` in their order.
            mask: Tissue: tiles without it are not looked at.
            scale: Of the survey.

        Raises:
            ModelError: the model has other classes.
        """
        if tuple(model.classes) != tuple(kind.value for kind in CLASSES):
            raise ModelError(
                f"{model.name} has the classes {', '.join(model.classes)}; an artefact network has "
                f"{', '.join(kind.value for kind in CLASSES)} in this order."
            )
        self._model, self._mask, self._scale = model, mask, scale
        # Never enlarged: an enlarged picture is blurred, and the network says so (9 of 10 clean tiles at four times).
        cell_um = model.tile_px / 2 * max(model.mpp, scale.um_per_px / scale.fine)
        self._per_block = max(1, round(scale.block * scale.um_per_px / cell_um))
        self._cell_px = scale.block / self._per_block
        rows = max(1, int(np.ceil(scale.size.height / self._cell_px)))
        columns = max(1, int(np.ceil(scale.size.width / self._cell_px)))
        self._values = np.zeros((rows, columns, len(CLASSES)), np.float32)
        self._seen = np.zeros((rows, columns), np.bool_)
        self._lock, self._turn = Lock(), BoundedSemaphore(max(1, model.parallel_calls))

    @property
    def margin(self) -> int:
        """Half a tile: so far do the last tiles of a block reach beyond it."""
        return int(np.ceil(self._cell_px))

    def __call__(self, pixels: RgbImage, block: Block) -> None:
        """Look at one block; see `core.qc.survey.BlockSink`."""
        starts = self._starts(block)
        if not len(starts):
            return
        edge = self._model.tile_px
        rows, columns = (int(number) + 2 for number in starts.max(0))
        fine = self._scale.fine
        wanted = (rows * self._cell_px * fine, columns * self._cell_px * fine)
        image = _fitted(pixels, wanted=wanted, out=(round(rows * edge / 2), round(columns * edge / 2)))
        top, left = (round(side / self._cell_px) for side in (block.top, block.left))
        for first in range(0, len(starts), BATCH):
            part = starts[first : first + BATCH]
            corners = (part * edge) // 2
            tiles = np.stack([image[row : row + edge, column : column + edge] for row, column in corners])
            with self._turn:
                found = self._model.predict(tiles)
            with self._lock:
                self._values[part[:, 0] + top, part[:, 1] + left] = found
                self._seen[part[:, 0] + top, part[:, 1] + left] = True

    def field(self) -> NetworkField:
        """Return what was collected."""
        return NetworkField(self._values, self._seen, self._cell_px)

    def _starts(self, block: Block) -> NDArray[np.int64]:
        """(N, 2) row and column of the corner of every tile with tissue, in half tiles from the block's corner."""
        rows = max(1, int(np.ceil(block.height / self._cell_px - 1e-6)))
        columns = max(1, int(np.ceil(block.width / self._cell_px - 1e-6)))
        grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
        down_x, down_y = self._scale.downsample
        share = area_fraction(
            self._mask.mask,
            self._mask.downsample,
            x=(block.left + grid[:, 1] * self._cell_px) * down_x,
            y=(block.top + grid[:, 0] * self._cell_px) * down_y,
            width=np.asarray(2 * self._cell_px * down_x),
            height=np.asarray(2 * self._cell_px * down_y),
        )
        return grid[share >= MIN_TISSUE]


def _fitted(pixels: RgbImage, *, wanted: tuple[float, float], out: tuple[int, int]) -> RgbImage:
    """Scale a block to the network's pixels; beyond the slide's edge it is continued by its mirror image.

    Args:
        pixels: The block.
        wanted: Rows and columns of block pixels that fill the result.
        out: Rows and columns of the result.
    """
    sides = [round(want) for want in wanted]
    missing = [(0, max(0, side - have)) for side, have in zip(sides, pixels.shape[:2], strict=True)]
    if any(after for _, after in missing):
        pixels = np.pad(pixels, [*missing, (0, 0)], mode="symmetric")
    pixels = np.ascontiguousarray(pixels[: sides[0], : sides[1]])
    if pixels.shape[:2] == out:
        return pixels
    shrinks = pixels.shape[0] >= out[0]
    how = Image.Resampling.HAMMING if shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((out[1], out[0]), how))
