"""The viewer's scripts, from this process and no other host: OpenSeadragon and our own modules, compressed once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.setup_assets import LIBRARY_NAME, LICENCE_NAME, VENDOR_DIR

ASSETS_PATH = "/viewer/assets"
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent."""

    plain: bytes
    packed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files of the viewer, read once."""

    files: Mapping[str, Asset]
    version: str
    """Part of the address, so that a browser keeps a file for ever and still gets the new one after an update."""


def load_assets(viewer_dir: Path, vendor_dir: Path = VENDOR_DIR) -> Assets:
    """Read the viewer's scripts and, if the set-up has brought it, OpenSeadragon.

    Args:
        viewer_dir: Folder of our own modules (.js and .css).
        vendor_dir: Folder of OpenSeadragon and its licence.
    """
    paths = [path for path in sorted(viewer_dir.iterdir()) if path.suffix in (".js", ".css")]
    paths += [path for name in (LIBRARY_NAME, LICENCE_NAME) if (path := vendor_dir / name).is_file()]
    contents = {path.name: path.read_bytes() for path in paths}
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in contents.items()))
    files = {name: _asset(name, content) for name, content in contents.items()}
    return Assets(files, digest.hexdigest()[:12])


def _asset(name: str, content: bytes) -> Asset:
    return Asset(content, gzip.compress(content, 6, mtime=0), _MEDIA_TYPES[Path(name).suffix])


def asset_route(assets: Assets) -> Route:
    """Return the route that hands the files out. They are the same for everybody and need no permission."""

    async def asset(request: Request) -> Response:
        found = assets.files.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse(missing_sentence(request.path_params["name"]), status_code=404)
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        packed = "gzip" in request.headers.get("accept-encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(found.packed if packed else found.plain, media_type=found.media_type, headers=headers)

    return Route(f"{ASSETS_PATH}/{{version}}/{{name}}", asset, methods=["GET"])


def missing_sentence(name: str) -> str:
    """Say what a missing file means and what to do."""
    if name == LIBRARY_NAME:
        return "OpenSeadragon is not installed. Run `python -m core.setup_assets` once, then restart the dashboard."
    return f"The viewer has no file {name}. Reload the page; the dashboard may have been updated."
