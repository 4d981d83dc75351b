"""Pictures that are worth keeping between runs. Results are never changed once written, so a run's id is key enough."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.services.cases.worklist import CaseRow
from core.services.viewing.pictures import SlidePicture, slide_picture
from core.settings import Settings

ROW_THUMBNAIL_PX = 96


@st.cache_data(max_entries=2000, show_spinner=False)
def row_thumbnail(path: str) -> str | None:
    """Return a `data:` address of a small picture for a table row, or None if the file is not there.

    Args:
        path: A run's thumbnail.jpg.
    """
    try:
        with Image.open(Path(path)) as image:
            small = image.convert("RGB")
            small.thumbnail((ROW_THUMBNAIL_PX, ROW_THUMBNAIL_PX))
            return _jpeg_url(small)
    except OSError:
        return None


def row_thumbnails(rows: Sequence[CaseRow]) -> dict[str, str | None]:
    """Return case id -> picture address; None where a case has no picture."""
    return {row.case_id: row_thumbnail(str(row.thumbnail_path)) if row.thumbnail_path else None for row in rows}


@st.cache_resource(max_entries=24, show_spinner=False)
def load_picture(
    _settings: Settings, home: str, slide_id: str, run_id: str, *, width: int, height: int, with_model: bool
) -> SlidePicture:
    """Return thumbnail and tiles of one run.

    Args:
        _settings: Names the home folder; no part of the key.
        home: The home folder, as part of the key.
        slide_id: The slide.
        run_id: Its run.
        width: Level-0 px of the slide.
        height: Level-0 px of the slide.
        with_model: Whether the model's values are in it; part of the key, so that no reader gets another's picture.

    Raises:
        NotFoundError: the run left no picture.
    """
    del home
    return slide_picture(_settings, slide_id, run_id, width=width, height=height, with_model=with_model)


@st.cache_data(max_entries=24, show_spinner=False)
def picture_url(home: str, slide_id: str, run_id: str, _thumbnail: NDArray[np.uint8]) -> str:
    """Return a `data:` address of a slide's thumbnail; the ids are the key."""
    del home, slide_id, run_id
    return _jpeg_url(Image.fromarray(_thumbnail))


def _jpeg_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
