"""One reading of a slide for all detectors: its picture at the map's scale, and what only finer detail shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.domain import Mpp, Region, Size
from core.errors import CancelledError
from core.optics import mean_density
from core.qc.detectors.focus import SUMS, BandSums, band_sums
from core.qc.detectors.stain_level import LEVELS, StainLevels, stain_levels
from core.slides.protocol import RgbImage, SlideReader
from core.tissue import TissueMask

MAP_UM_PER_PX = 4.0
"""Scale of the artefact map: a dust grain of 10 um still has two pixels."""
MIN_MAP_PX = 512
"""Shorter side below which the map is made finer, down to the image's own pixels."""
MAX_MAP_PX = 12_000_000
"""Pixels above which the map is made coarser: a whole 25 x 75 mm slide at 12 um/px."""
FINE_UM_PER_PX = 1.0
"""Scale at which focus is looked for."""
COARSEST_UM_PER_PX = 4.5
"""Scale above which neither focus nor anything else that a network has learnt can be seen."""
CELL_UM = 32.0
MIN_CELL_PX = 16
"""Fine pixels along the edge of a focus cell, at least."""
BLOCK_CELLS = 32
"""Focus cells along the edge of what is read at once."""


@dataclass(frozen=True, slots=True)
class SurveyScale:
    """How a slide is divided for one survey."""

    size: Size
    """Of the map, in map pixels."""
    um_per_px: float
    """Of the map."""
    downsample: tuple[float, float]
    """Level-0 pixels per map pixel along x and y."""
    fine: int
    """Fine pixels along the edge of a map pixel."""
    cell: int
    """Map pixels along the edge of a focus cell; a multiple of 4."""

    @property
    def block(self) -> int:
        """Map pixels along the edge of what is read at once."""
        return self.cell * BLOCK_CELLS

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of focus cells; the last ones may reach beyond the slide."""
        return -(-self.size.height // self.cell), -(-self.size.width // self.cell)


@dataclass(frozen=True, slots=True)
class Block:
    """What is read at once, in map pixels; it begins at the corner of a focus cell."""

    left: int
    top: int
    width: int
    height: int

    def widened(self, margin: int, scale: SurveyScale) -> Block:
        """Return it with a margin at its right and lower side, as far as the slide goes."""
        width = min(self.width + margin, scale.size.width - self.left)
        return Block(self.left, self.top, width, min(self.height + margin, scale.size.height - self.top))

    def region(self, scale: SurveyScale) -> Region:
        """Return its level-0 region, rounded outwards by less than a pixel."""
        (x, y), (right, bottom) = (
            (round(column * scale.downsample[0]), round(row * scale.downsample[1]))
            for column, row in ((self.left, self.top), (self.left + self.width, self.top + self.height))
        )
        return Region(x, y, max(1, right - x), max(1, bottom - y))


class BlockSink(Protocol):
    """Sees the fine pixels of every block with tissue."""

    @property
    def margin(self) -> int:
        """Map pixels that it wants to see beyond the right and lower side of a block."""
        ...

    def __call__(self, pixels: RgbImage, block: Block) -> None:
        """Receive a block; called from several threads at once, and must not change the pixels.

        Args:
            pixels: Of the block and its margin; less margin where the slide ends.
            block: Without the margin.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What the detectors look at."""

    scale: SurveyScale
    rgb: RgbImage
    """(H, W, 3) the whole slide at the map's scale."""
    bands: BandSums
    """Detail by focus cell, from the fine pixels of tissue."""
    stain: StainLevels
    """Strength of stain by focus cell, from the same pixels."""

    def at_map(self, cells: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return values of focus cells (rows, columns) at every map pixel (H, W), linear between their centres."""
        size, cell = self.scale.size, self.scale.cell
        image = Image.fromarray(np.asarray(cells, np.float32))
        box = (0, 0, size.width / cell, size.height / cell)
        return np.asarray(image.resize((size.width, size.height), Image.Resampling.BILINEAR, box=box), np.float32)


def survey_scale(size: Size, mpp: Mpp) -> SurveyScale:
    """Choose the scales for a slide of that size in level-0 pixels."""
    width_um, height_um = size.width * mpp.x, size.height * mpp.y
    wanted = min(MAP_UM_PER_PX, min(width_um, height_um) / MIN_MAP_PX)
    wanted = max(wanted, mpp.x, mpp.y, float(np.sqrt(width_um * height_um / MAX_MAP_PX)))
    columns, rows = max(1, round(width_um / wanted)), max(1, round(height_um / wanted))
    um_per_px = float(np.sqrt(width_um / columns * height_um / rows))
    fine = max(1, round(um_per_px / max(FINE_UM_PER_PX, mpp.x, mpp.y)))
    cell_px = max(CELL_UM / um_per_px, MIN_CELL_PX / fine)
    return SurveyScale(
        Size(columns, rows),
        um_per_px,
        (size.width / columns, size.height / rows),
        fine,
        4 * max(1, round(cell_px / 4)),
    )


def survey_slide(
    reader: SlideReader,
    mask: TissueMask,
    scale: SurveyScale,
    *,
    sink: BlockSink | None = None,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Survey:
    """Read a slide once: finely where there is tissue, coarsely elsewhere.

    Args:
        reader: The slide.
        mask: Its tissue and ink.
        scale: From `survey_scale`.
        sink: Sees the fine pixels of every block with tissue.
        threads: That read and measure at once.
        progress: Called with blocks done and blocks in all.
        cancelled: Asked before every block.

    Raises:
        UnreadableSlideError: the slide broke while being read.
        CancelledError: `cancelled` said so.
    """
    rgb = np.empty((scale.size.height, scale.size.width, 3), np.uint8)
    cells = np.zeros((*scale.cells, SUMS + LEVELS), np.float32)

    def visit(block: Block, *, finely: bool) -> None:
        if cancelled is not None and cancelled():
            raise CancelledError("Quality control was cancelled.")
        factor = scale.fine if finely else 1
        wide = block.widened(sink.margin, scale) if finely and sink is not None else block
        seen = reader.read(wide.region(scale), Size(wide.width * factor, wide.height * factor))
        pixels = seen[: block.height * factor, : block.width * factor]
        small = np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels
        rgb[block.top : block.top + block.height, block.left : block.left + block.width] = small
        if finely:
            part = _cells_of(pixels, scale, mask)
            row, column = block.top // scale.cell, block.left // scale.cell
            cells[row : row + part.shape[0], column : column + part.shape[1]] = part
            if sink is not None:
                sink(seen, block)

    blocks = list(_blocks(scale))
    finely = _hold_tissue(mask, [block.region(scale) for block in blocks])
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="survey")
    try:
        begun = [pool.submit(visit, block, finely=fine) for block, fine in zip(blocks, finely, strict=True)]
        for done, future in enumerate(begun, start=1):
            future.result()
            if progress is not None:
                progress(done, len(blocks))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    bands = BandSums(cells[..., :SUMS], (scale.cell * scale.fine) ** 2)
    return Survey(scale, rgb, bands, StainLevels(*np.moveaxis(cells[..., SUMS:], -1, 0)))


def _blocks(scale: SurveyScale) -> Iterator[Block]:
    edge = scale.block
    for top in range(0, scale.size.height, edge):
        for left in range(0, scale.size.width, edge):
            yield Block(left, top, min(edge, scale.size.width - left), min(edge, scale.size.height - top))


def _hold_tissue(mask: TissueMask, regions: list[Region]) -> list[bool]:
    x, y, width, height = np.array([(r.x, r.y, r.width, r.height) for r in regions]).T
    return [bool(share > 0) for share in mask.fraction(x, y, width, height)]


def _cells_of(pixels: RgbImage, scale: SurveyScale, mask: TissueMask) -> NDArray[np.float32]:
    """Measure detail and stain; a cell that the slide's edge cuts is filled with its mirror image."""
    cell_px = scale.cell * scale.fine
    density = mean_density(pixels, glass=np.asarray(mask.glass, np.float32))
    missing = tuple((0, -side % cell_px) for side in density.shape)
    padded = np.pad(density, missing, mode="symmetric") if any(after for _, after in missing) else density
    bands = band_sums(padded, um_per_px=scale.um_per_px / scale.fine, cell_px=cell_px)
    levels = stain_levels(padded, cell_px=cell_px)
    return np.concatenate([bands.sums, np.stack([levels.peak, levels.mean], axis=-1)], axis=-1)
