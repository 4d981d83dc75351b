"""Small pictures of slides under their artefact map, kept between runs: a measurement never changes once written."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.services.quality.table import QualityRow, SlideQuality
from core.settings import Settings

ROW_PX = 120
"""Longer side in the table."""


def row_pictures(settings: Settings, rows: Iterable[QualityRow]) -> dict[str, str | None]:
    """Return slide id -> picture address for a page of the table; None where a slide has no picture."""
    return {row.entry.slide_id: overlay_picture(settings, row.entry.quality, longest_px=ROW_PX) for row in rows}


def overlay_picture(settings: Settings, quality: SlideQuality | None, *, longest_px: int) -> str | None:
    """Return a `data:` address of a slide's thumbnail under its artefact map; None where there is no thumbnail."""
    if quality is None or quality.results_dir is None:
        return None
    return _overlaid(str(settings.home / quality.results_dir), longest_px)


def laid_over(
    settings: Settings, quality: SlideQuality | None, rgba: NDArray[np.uint8], *, longest_px: int
) -> Image.Image | None:
    """Return a slide's thumbnail under a picture of any size that covers the slide; None without a thumbnail.

    Args:
        settings: Names the home folder.
        quality: The measurement whose thumbnail it is.
        rgba: (H, W, 4).
        longest_px: Longer side of what is returned.
    """
    if quality is None or quality.results_dir is None:
        return None
    small = _thumbnail(settings.home / quality.results_dir, longest_px)
    if small is not None:
        laid = Image.fromarray(rgba).resize(small.size, Image.Resampling.NEAREST)
        small.paste(laid, mask=laid)
    return small


def _thumbnail(folder: Path, longest_px: int) -> Image.Image | None:
    try:
        with Image.open(folder / "thumbnail.jpg") as image:
            image.draft("RGB", (2 * longest_px, 2 * longest_px))
            small = image.convert("RGB")
    except OSError:
        return None
    small.thumbnail((longest_px, longest_px))
    return small


@st.cache_data(max_entries=4000, show_spinner=False)
def _overlaid(folder: str, longest_px: int) -> str | None:
    small = _thumbnail(Path(folder), longest_px)
    if small is None:
        return None
    try:
        with Image.open(Path(folder) / "qc_overlay.png") as overlay:
            # Nearest: a mixture of two classes' colours would be a third class's.
            laid = overlay.convert("RGBA").resize(small.size, Image.Resampling.NEAREST)
            small.paste(laid, mask=laid)
    except OSError:
        pass  # measured before there were maps: the slide alone is shown
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=86)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
