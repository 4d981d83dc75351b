"""Embeddings of slides: open, find tissue, cut tiles, embed, and keep the vectors for the next time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import MissingMppError, NotApplicableError, NotFoundError, UnreadableSlideError
from core.inference import embed_tiles
from core.services import catalogue
from core.services.analysis.fit import COARSER_ALLOWED
from core.services.training.embedding_cache import CacheKey, read_vectors, write_vectors
from core.settings import Settings
from core.slides import SlideReader, open_slide, sha256_of
from core.tiles import TileGrid, TileSpec, tile_grid
from core.tissue import find_tissue
from models.encoders.protocol import Encoder

DEFAULT_MPP = 0.5
"""um/px at which an encoder without a scale of its own reads: 20x, the scale of most published pathology encoders."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideEmbeddings:
    """What an encoder sees on the tiles of one slide."""

    slide_id: str
    slide_sha256: str
    encoder: str
    encoder_sha256: str
    grid: TileGrid
    """The tiles; row i of `vectors` belongs to `grid.xy_level0[i]`. Empty where there is no tissue."""
    vectors: NDArray[np.float32]
    """(N, D)"""
    from_cache: bool
    """Whether the vectors were read from disk instead of being computed."""


def slide_embeddings(
    settings: Settings,
    slide_id: str,
    encoder: Encoder,
    *,
    spec: TileSpec | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SlideEmbeddings:
    """Return the embeddings of a slide's tissue, from the cache where they are known.

    Args:
        settings: Whose home, tissue limits, stride and batch size.
        slide_id: A slide of the catalogue.
        encoder: What embeds.
        spec: The tiles; None is `tile_spec(settings, encoder)`. With a shipped tile model as the encoder these are
            the tiles of an analysis by that model.
        progress: Called after every batch with tiles done and tiles in all.
        cancelled: Asked before every batch.

    Raises:
        NotFoundError: no slide of that id.
        UnreadableSlideError: the file cannot be read.
        MissingMppError: its scale is unknown.
        NotApplicableError: the slide is coarser than the encoder's scale.
        StorageError: the vectors cannot be kept.
        CancelledError: `cancelled` said so.
    """
    slide = catalogue.get_slide(settings, slide_id)
    path = Path(slide.path)
    with open_slide(path, mpp=slide.mpp_override) as reader:
        grid = _grid(settings, reader, spec or tile_spec(settings, encoder), encoder=encoder.name)
        return embeddings_on_grid(
            settings,
            reader,
            grid,
            encoder,
            slide_id=slide_id,
            slide_sha256=sha256_of(path),
            progress=progress,
            cancelled=cancelled,
        )


@dataclass(frozen=True, slots=True)
class EmbedOutcome:
    """What became of one slide of many."""

    slide_id: str
    tiles: int
    embedding_size: int
    from_cache: bool
    message: str = ""
    """Why the slide could not be embedded; empty if it was."""

    @property
    def ok(self) -> bool:
        """Whether the slide has its vectors."""
        return not self.message

    @property
    def sentence(self) -> str:
        """The same for people."""
        if not self.ok:
            return f"{self.slide_id}: {self.message}"
        where = "from the cache" if self.from_cache else "computed"
        return f"{self.slide_id}: {self.tiles} vectors of {self.embedding_size}, {where}"

    def to_dict(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "slide_id": self.slide_id,
            "ok": self.ok,
            "tiles": self.tiles,
            "embedding_size": self.embedding_size,
            "from_cache": self.from_cache,
            "message": self.message,
        }


def embed_slides(
    settings: Settings,
    encoder: Encoder,
    *,
    slide_ids: Sequence[str] | None = None,
    spec: TileSpec | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[EmbedOutcome]:
    """Embed slides one after the other; one that cannot be read does not stop the others.

    Args:
        settings: As for `slide_embeddings`.
        encoder: What embeds.
        slide_ids: Slides of the catalogue; None = all.
        spec: The tiles, as for `slide_embeddings`.
        progress: Called after every batch with the slide, tiles done and tiles in all.

    Raises:
        StorageError: the vectors cannot be kept; further slides would not fare better.
        DeviceMemoryError, ModelError: the encoder cannot compute.
    """
    wanted = slide_ids or [slide.slide_id for slide in catalogue.list_slides(settings)]
    for slide_id in wanted:
        told = None if progress is None else partial(progress, slide_id)
        try:
            found = slide_embeddings(settings, slide_id, encoder, spec=spec, progress=told)
        except (NotFoundError, UnreadableSlideError, MissingMppError, NotApplicableError) as err:
            yield EmbedOutcome(slide_id, 0, encoder.embedding_size, from_cache=False, message=str(err))
        else:
            yield EmbedOutcome(slide_id, len(found.grid), encoder.embedding_size, from_cache=found.from_cache)


def embeddings_on_grid(
    settings: Settings,
    reader: SlideReader,
    grid: TileGrid,
    encoder: Encoder,
    *,
    slide_id: str,
    slide_sha256: str,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SlideEmbeddings:
    """Return the embeddings of the tiles of an open slide, from the cache where they are known.

    Raises:
        UnreadableSlideError, StorageError, CancelledError: as `slide_embeddings`.
    """
    key = CacheKey(slide_sha256, encoder.sha256, grid_digest(grid, precision=encoder.precision))
    vectors = read_vectors(settings, key, shape=(len(grid), encoder.embedding_size))
    known = vectors is not None
    if vectors is None:
        vectors = embed_tiles(
            reader,
            grid,
            encoder,
            batch_size=settings.batch_size,
            read_threads=settings.read_threads,
            progress=progress,
            cancelled=cancelled,
        )
        write_vectors(settings, key, vectors)
    return SlideEmbeddings(slide_id, slide_sha256, encoder.name, encoder.sha256, grid, vectors, known)


def tile_spec(settings: Settings, encoder: Encoder, *, mpp: float | None = None) -> TileSpec:
    """Return the tiles that an encoder is made for.

    Args:
        settings: Stride and least tissue fraction.
        encoder: Whose tile size and scale.
        mpp: um/px for an encoder without a scale of its own; None is `DEFAULT_MPP`. An encoder's own scale wins.
    """
    scale = encoder.mpp or mpp or DEFAULT_MPP
    return TileSpec(
        encoder.tile_px * scale,
        mpp=scale,
        stride_um=settings.stride_um,
        min_tissue_fraction=settings.min_tissue_fraction,
    )


def grid_digest(grid: TileGrid, *, precision: str) -> str:
    """Return the digest of all tiles in their order: positions, extent, pixels; and of the number format."""
    sizes = (grid.size_level0.width, grid.size_level0.height, grid.size_px, precision)
    positions = np.ascontiguousarray(grid.xy_level0, dtype="<i4")
    return hashlib.sha256(repr(sizes).encode() + positions.tobytes()).hexdigest()


def _grid(settings: Settings, reader: SlideReader, spec: TileSpec, *, encoder: str) -> TileGrid:
    mpp = reader.info.mpp
    if mpp is None:
        raise MissingMppError(
            f"{reader.info.path.name} states no micrometres per pixel. "
            "Give the scanner's value (--mpp, or the column mpp of a manifest); it is never guessed."
        )
    if mpp.mean > spec.mpp * COARSER_ALLOWED:
        raise NotApplicableError(
            f"The encoder {encoder} needs {spec.mpp:g} um/px or finer, and this slide has {mpp.mean:g}. "
            "Scan it at a higher magnification."
        )
    return tile_grid(reader.info.size, mpp, spec, find_tissue(reader, settings.tissue))
