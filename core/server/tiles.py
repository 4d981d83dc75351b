"""Routes of the slide viewer: what a slide is, its tiles, parts of it as pictures, and the layers that lie on it.

Every answer about a slide needs a token for that slide whose user is the one signed in. Pictures keep for ever under
their address, because the address holds the version of the file. Refusals are one plain sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.domain import Region
from core.errors import (
    ConflictError,
    InputError,
    MissingMppError,
    NotAllowedError,
    NotFoundError,
    SecondReadError,
    StorageError,
    UnreadableSlideError,
)
from core.server import tile_tokens
from core.server.assets import Assets, asset_route
from core.server.session_gate import SessionGate
from core.server.slide_cache import BorrowedSlide, OpenSlides
from core.server.tile_tokens import TileToken, TokenRefusedError
from core.services.cases.visibility import may_see_model_of
from core.services.viewing import layers
from core.settings import Settings

SLIDES_PATH = "/viewer/slides"
PING_PATH = "/viewer/ping"
READ_THREADS = 8
"""Tiles read at once, in threads of their own: Streamlit's pages never wait for them, nor they for pages."""
_HIDDEN = "The model's result stays hidden until your own diagnosis is recorded or you reveal it."
_KEEP = "private, max-age=604800, immutable"
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (TokenRefusedError, 403),
    (NotAllowedError, 403),
    (NotFoundError, 404),
    (ConflictError, 503),
    (InputError, 422),
    (MissingMppError, 422),
    (StorageError, 503),
    (UnreadableSlideError, 422),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Viewer:
    """What the routes share."""

    settings: Settings
    secret: str
    slides: OpenSlides
    limiter: CapacityLimiter
    sessions: SessionGate

    async def permit(self, request: Request) -> TileToken:
        """Return the request's permission for the slide in its address.

        Raises:
            TokenRefusedError: there is none; the sentence says why.
        """
        text = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = tile_tokens.read(self.secret, text)
        if token.slide_id != request.path_params["slide_id"]:
            raise TokenRefusedError("The permission is for another slide.")
        if await self.sessions.subject(request.cookies) != token.user:
            raise TokenRefusedError(
                "The permission is another user's, or your sign-in has ended. Sign in again and reload the page."
            )
        return token


Answer = Callable[["_Viewer", Request, TileToken], Awaitable[Response]]


def tile_routes(settings: Settings, *, secret: str, slides: OpenSlides, assets: Assets) -> list[Route]:
    """Return the routes of the viewer.

    Args:
        settings: Names the home folder with the results.
        secret: Signs tokens; the same that signs the sign-in cookie.
        slides: The open slides of this process.
        assets: The viewer's scripts.
    """
    viewer = _Viewer(settings, secret, slides, CapacityLimiter(READ_THREADS), SessionGate(settings, secret))
    paths: tuple[tuple[str, Answer], ...] = (
        ("info", _info),
        ("{version}/tiles/{level}/{address}", _tile),
        ("{version}/regions/{box}", _region),
        ("layers/tissue", _tissue),
        ("layers/{run_id}/model", _model_layer),
        ("layers/{run_id}/attention", _attention_layer),
        ("layers/{run_id}/quality", _quality_layer),
        ("layers/{run_id}/disagreement", _disagreement_layer),
    )
    routes = [Route(f"{SLIDES_PATH}/{{slide_id}}/{path}", _guarded(viewer, answer)) for path, answer in paths]
    return [*routes, asset_route(assets), Route(PING_PATH, _ping)]


def _guarded(viewer: _Viewer, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an answer: permission first, and every refusal as a status with one sentence."""

    async def guarded(request: Request) -> Response:
        try:
            return await answer(viewer, request, await viewer.permit(request))
        except (SecondReadError, TokenRefusedError) as err:
            status = next((code for kind, code in _STATUS if isinstance(err, kind)), 500)
            return PlainTextResponse(str(err), status_code=status, headers={"Cache-Control": "no-store"})

    return guarded


async def _ping(_request: Request) -> Response:
    """Tell the viewer that the server is there."""
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


async def _info(viewer: _Viewer, request: Request, _token: TileToken) -> Response:
    """Answer what the viewer needs to know before the first tile."""
    return JSONResponse(
        await anyio.to_thread.run_sync(
            _describe, viewer.slides, request.path_params["slide_id"], limiter=viewer.limiter
        ),
        headers={"Cache-Control": "no-store"},
    )


def _describe(slides: OpenSlides, slide_id: str) -> dict[str, object]:
    with slides.borrow(slide_id) as borrowed:
        info, pyramid = borrowed.slide.info, borrowed.slide.pyramid
        return {
            "slide_id": slide_id,
            "version": borrowed.version,
            "width": info.size.width,
            "height": info.size.height,
            "tile_width": pyramid.tile_px.width,
            "tile_height": pyramid.tile_px.height,
            "levels": len(pyramid.levels),
            "mpp": None if info.mpp is None else [info.mpp.x, info.mpp.y],
            "mpp_source": None if info.mpp is None else info.mpp.source.value,
            "objective_power": info.objective_power,
            "vendor": info.vendor,
        }


async def _tile(viewer: _Viewer, request: Request, _token: TileToken) -> Response:
    """Answer one tile: `<level>/<column>_<row>.jpg`, level 0 being the coarsest."""
    params = request.path_params
    level, column, row = _numbers(f"{params['level']}_{params['address'].removesuffix('.jpg')}", 3)
    tag = f'"{params["version"]}-{level}-{column}-{row}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": _KEEP})

    def read() -> tuple[bytes, bool]:
        with _version(viewer.slides, request) as borrowed:
            return borrowed.slide.tile(level, column, row)

    jpeg, raw = await anyio.to_thread.run_sync(read, limiter=viewer.limiter)
    headers = {"ETag": tag, "Cache-Control": _KEEP, "X-Tile": "passthrough" if raw else "rendered"}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


async def _region(viewer: _Viewer, request: Request, _token: TileToken) -> Response:
    """Answer any part of the slide as a picture: `<x>_<y>_<width>_<height>_<longest side>.jpg`."""
    x, y, width, height, longest_px = _numbers(request.path_params["box"].removesuffix(".jpg"), 5)
    if width < 1 or height < 1:
        raise InputError("A region needs a positive width and height.")

    def read() -> bytes:
        with _version(viewer.slides, request) as borrowed:
            return borrowed.slide.region(Region(x, y, width, height), longest_px=longest_px)

    jpeg = await anyio.to_thread.run_sync(read, limiter=viewer.limiter)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": _KEEP})


async def _tissue(viewer: _Viewer, request: Request, _token: TileToken) -> Response:
    """Answer the outline of the tissue as closed rings in level-0 px."""

    def find() -> list[list[list[float]]]:
        with viewer.slides.borrow(request.path_params["slide_id"]) as borrowed:
            return layers.tissue_rings(borrowed.slide.reader, viewer.settings)

    rings = await anyio.to_thread.run_sync(find, limiter=viewer.limiter)
    return JSONResponse({"rings": rings}, headers={"Cache-Control": "private, max-age=3600"})


async def _require_result(viewer: _Viewer, request: Request, token: TileToken) -> None:
    """Go on only if the model's result may be seen now: the permission may be older than a blinded request.

    Raises:
        TokenRefusedError: it is hidden.
    """
    issuer, _, subject = token.user.partition("|")
    slide_id = request.path_params["slide_id"]
    asked = partial(may_see_model_of, viewer.settings, slide_id, issuer=issuer, subject=subject)
    if not token.model or not await anyio.to_thread.run_sync(asked, limiter=viewer.limiter):
        raise TokenRefusedError(_HIDDEN)


async def _model_layer(viewer: _Viewer, request: Request, token: TileToken) -> Response:
    """Answer the class probabilities of every tile, to those who may see the model's result."""
    await _require_result(viewer, request, token)
    return await _layer(viewer, request, layers.model_layer)


async def _attention_layer(viewer: _Viewer, request: Request, token: TileToken) -> Response:
    """Answer the attention of every tile: it shows where the model's result comes from, and is hidden with it."""
    await _require_result(viewer, request, token)
    return await _layer(viewer, request, layers.attention_layer)


async def _quality_layer(viewer: _Viewer, request: Request, _token: TileToken) -> Response:
    """Answer the artefact map."""
    return await _layer(viewer, request, layers.quality_layer)


async def _disagreement_layer(viewer: _Viewer, request: Request, _token: TileToken) -> Response:
    """Answer where the artefact network differs from the detectors."""
    return await _layer(viewer, request, layers.disagreement_layer)


async def _layer(viewer: _Viewer, request: Request, load: Callable[[Settings, str, str], bytes]) -> Response:
    slide_id, run_id = request.path_params["slide_id"], request.path_params["run_id"]
    content = await anyio.to_thread.run_sync(load, viewer.settings, slide_id, run_id, limiter=viewer.limiter)
    headers = {"Cache-Control": "private, no-cache", "Content-Encoding": "gzip"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@contextmanager
def _version(slides: OpenSlides, request: Request) -> Generator[BorrowedSlide]:
    """Borrow the slide of the request's address, if its file is still the one the address was made for.

    Raises:
        NotFoundError: the file was replaced; what is shown no longer belongs to it.
    """
    with slides.borrow(request.path_params["slide_id"]) as borrowed:
        if borrowed.version != request.path_params["version"]:
            raise NotFoundError("The slide file was replaced by another one. Reload the page to see it.")
        yield borrowed


def _numbers(text: str, count: int) -> tuple[int, ...]:
    """Read whole numbers joined by underscores.

    Raises:
        InputError: anything else.
    """
    parts = text.split("_")
    if len(parts) != count or not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise InputError(f"{text!r} is not {count} whole numbers joined by underscores.")
    return tuple(int(part) for part in parts)
