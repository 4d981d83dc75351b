"""Pictures of an analysed slide for the screens: the thumbnail with its tile values, and what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.domain import Size
from core.services.analysis.run_files import RunFolder
from core.services.analysis.tile_columns import column_of
from core.settings import Settings

_PLACES = ("x", "y", "width", "height")


@dataclass(frozen=True, slots=True, eq=False)
class SlidePicture:
    """What a page needs to draw one slide with its heatmap."""

    thumbnail: NDArray[np.uint8]
    """(h, w, 3) RGB of the whole slide."""
    size_level0: Size
    """Full-resolution pixels of the slide: the frame of everything drawn on it."""
    tiles: pd.DataFrame
    """One row a tile: x, y, width, height (level-0 px), prob_<class>, qc_<measure> ...; empty without a result."""

    def probabilities(self, class_name: str) -> NDArray[np.float32]:
        """Probability of one class, or of the sum of classes that the model looks for, for each tile row."""
        return self.tiles[column_of(class_name, columns=self.tiles.columns)].to_numpy(np.float32)


def slide_picture(
    settings: Settings, slide_id: str, run_id: str, *, width: int, height: int, with_model: bool
) -> SlidePicture:
    """Load the picture of one run.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        run_id: One of its runs.
        width: Level-0 width of the slide as recorded in the catalogue.
        height: Level-0 height.
        with_model: Whether whoever looks may see the model's result (`visibility`); else no value of it is loaded.

    Raises:
        NotFoundError: the run left no thumbnail (it could not open the slide), or its files were removed.
    """
    folder = RunFolder.of(settings, slide_id, run_id)
    thumbnail = folder.read_image("thumbnail.jpg")
    tiles = folder.read_tiles() if (folder.path / "tiles.parquet").is_file() else pd.DataFrame()
    if not with_model:
        tiles = tiles[[name for name in tiles.columns if name in _PLACES or name.startswith("qc_")]]
    return SlidePicture(thumbnail, Size(width, height), tiles)
