"""The viewer's routes as a dashboard puts them together: slides of the catalogue, scripts of this installation."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Route

from core.errors import NotFoundError
from core.server.assets import Assets, load_assets
from core.server.slide_cache import OPEN_LIMIT, OpenSlides, SlidePlace
from core.server.tiles import tile_routes
from core.services import catalogue
from core.settings import Settings
from core.slides.deepzoom import DeepZoomSlide
from core.slides.raw_tiles import open_deep_zoom


def viewer_dir() -> Path:
    """Return the folder of the viewer's own scripts."""
    return Path(__file__).resolve().parents[2] / "pages" / "parts" / "viewer" / "component"


def viewer_assets() -> Assets:
    """Read the viewer's scripts from this installation."""
    return load_assets(viewer_dir())


def viewer_routes(settings: Settings, *, secret: str, limit: int = OPEN_LIMIT) -> list[Route]:
    """Return every route of the slide viewer.

    Args:
        settings: Names the home folder with the catalogue and the results.
        secret: Signs tile tokens; the one that signs the sign-in cookie.
        limit: Most slides held open at once.
    """

    def locate(slide_id: str) -> SlidePlace:
        slide = catalogue.get_slide(settings, slide_id)
        path = Path(slide.path)
        if not path.exists():
            raise NotFoundError(
                f"The file of slide {slide_id} is no longer where it was added from. "
                "Put it back, or add the slide again from its new place."
            )
        return SlidePlace(path, slide.mpp_override)

    def open_place(place: SlidePlace) -> DeepZoomSlide:
        return open_deep_zoom(place.path, mpp=place.mpp)

    slides = OpenSlides(locate, open_place, limit=limit)
    return tile_routes(settings, secret=secret, slides=slides, assets=viewer_assets())
