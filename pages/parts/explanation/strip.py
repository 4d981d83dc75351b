"""Small things that the parts of the explanation page share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.domain import Region
from core.errors import SecondReadError
from core.server.identity import User
from core.services.explanation.pictures import tile_pictures
from core.settings import Settings
from pages.parts.explanation.choice import ask_for

THUMB_PX = 128


@st.cache_data(max_entries=128, show_spinner=False)
def _thumbs(
    _settings: Settings,
    home: str,
    slide_id: str,
    sha256: str | None,
    places: tuple[tuple[int, int, int, int], ...],
    actor: str,
) -> tuple[NDArray[np.uint8], ...]:
    """Pictures of places on a slide; they change with nothing but the file."""
    del home, sha256
    return tile_pictures(_settings, slide_id, [Region(*place) for place in places], px=THUMB_PX, actor=actor)


def thumbnails(
    settings: Settings, slide_id: str, sha256: str | None, regions: Sequence[Region], *, user: User
) -> tuple[NDArray[np.uint8] | None, ...]:
    """Return small pictures of tiles; None for each where the slide's file cannot be read."""
    places = tuple((one.x, one.y, one.width, one.height) for one in regions)
    try:
        return _thumbs(settings, str(settings.home), slide_id, sha256, places, user.actor)
    except SecondReadError:
        return tuple(None for _ in regions)


def tile_strip(
    settings: Settings,
    slide_id: str,
    sha256: str | None,
    regions: Sequence[Region],
    captions: Sequence[str],
    *,
    key: str,
    user: User,
    chosen: Region | None = None,
    choose: bool = True,
) -> None:
    """Show tiles in a row, each with a button that asks for its explanation."""
    pictures = thumbnails(settings, slide_id, sha256, regions, user=user)
    with st.container(horizontal=True, gap="small"):
        for number, (region, picture, caption) in enumerate(zip(regions, pictures, captions, strict=True)):
            with st.container(width=THUMB_PX, gap="xxsmall"):
                if picture is None:
                    st.caption("No picture: the slide's file cannot be read.")
                else:
                    st.image(picture, width=THUMB_PX, alt=f"Tile at {region.x}, {region.y}: {caption}")
                st.caption(caption)
                if choose:
                    st.button(
                        "Chosen" if region == chosen else "Explain",
                        key=f"{key}_{number}_{region.x}_{region.y}",
                        width="stretch",
                        disabled=region == chosen,
                        help=f"Show this tile's explanation (level-0 px {region.x}, {region.y})",
                        on_click=ask_for,
                        args=(region,),
                    )
