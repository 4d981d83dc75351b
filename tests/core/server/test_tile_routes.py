"""The tile routes: colours, permission, caching, plain refusals, and a bounded number of open slides."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image, ImageCms
from starlette.applications import Starlette

from core.domain import Size
from core.errors import NotFoundError
from core.server.assets import load_assets
from core.server.identity import Role
from core.server.sign_in import COOKIE_NAME, demonstration_claims, sign_in_cookie
from core.server.slide_cache import OpenSlides, SlidePlace
from core.server.tile_tokens import grant, read, sign, subject_of
from core.server.tiles import PING_PATH, READ_THREADS, SLIDES_PATH, tile_routes
from core.settings import Settings
from core.slides.deepzoom import DeepZoomSlide, pyramid
from core.slides.raw_tiles import open_deep_zoom

SECRET = "a secret of at least thirty-two characters"  # noqa: S105
ADA = "second-read-demonstration|ada"


def textured(width: int, height: int) -> np.ndarray:
    """Every pixel's colour tells its place; smooth, so that compression keeps it."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 200 // width + 30, y * 200 // height + 30, (x + y) % 512 // 4 + 60], axis=2).astype(np.uint8)


def write(path: Path, image: np.ndarray, *, levels: int = 3, **options: object) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            step = 2**level
            tiff.write(
                np.ascontiguousarray(image[::step, ::step]),
                photometric="rgb",
                tile=(256, 256),
                compression="jpeg",
                subfiletype=1 if level else 0,
                **({"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER", **options} if level == 0 else {}),
            )
    return path


class Client:
    """Requests to an ASGI application from any thread, answered in one event loop as in a server."""

    def __init__(self, app: Starlette) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")
        self.cookies = self._http.cookies

    def get(self, path: str, *, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(self._http.get(path, headers=headers), self._loop).result(30)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._http.aclose(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


@dataclass
class Site:
    """A small server with two slides in a folder."""

    client: Client
    slides: OpenSlides
    folder: Path
    settings: Settings

    def headers(self, slide_id: str, *, user: str = ADA, model: bool = False, lifetime_s: float = 60) -> dict[str, str]:
        token = sign(SECRET, grant(slide_id, user=user, model=model, lifetime_s=lifetime_s))
        return {"Authorization": f"Bearer {token}"}

    def info(self, slide_id: str) -> dict[str, object]:
        answer = self.client.get(f"{SLIDES_PATH}/{slide_id}/info", headers=self.headers(slide_id))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tile(self, slide_id: str, level: object, column: object, row: object, **headers: str):
        version = self.info(slide_id)["version"]
        return self.client.get(
            f"{SLIDES_PATH}/{slide_id}/{version}/tiles/{level}/{column}_{row}.jpg",
            headers=self.headers(slide_id) | headers,
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    settings = Settings(home=tmp_path / "home")
    write(tmp_path / "one.tif", textured(1500, 1100))
    write(tmp_path / "two.tif", textured(800, 700))
    (tmp_path / "broken.tif").write_bytes(b"this is no slide")

    def locate(slide_id: str) -> SlidePlace:
        path = tmp_path / f"{slide_id}.tif"
        if not path.exists():
            raise NotFoundError(f"The file of slide {slide_id} is no longer where it was added from.")
        return SlidePlace(path)

    slides = OpenSlides(locate, lambda place: open_deep_zoom(place.path, mpp=place.mpp), limit=3)
    assets = load_assets(Path(__file__).parents[3] / "pages" / "parts" / "viewer" / "component", tmp_path / "none")
    routes = tile_routes(settings, secret=SECRET, slides=slides, assets=assets)
    client = Client(Starlette(routes=routes))
    claims = demonstration_claims(settings, "Ada", role=Role.PATHOLOGIST)
    client.cookies.set(COOKIE_NAME, sign_in_cookie(SECRET, claims, origin="http://x"))
    yield Site(client, slides, tmp_path, settings)
    client.close()
    slides.close()


# -- geometry and colours ------------------------------------------------------------------------------------------


def test_pyramid_has_whole_halves_from_one_tile_up() -> None:
    made = pyramid(Size(1500, 1100), Size(256, 256))
    assert [(level.downsample, level.size.width, level.size.height) for level in made.levels] == [
        (8, 188, 138),
        (4, 375, 275),
        (2, 750, 550),
        (1, 1500, 1100),
    ]
    assert made.grid(3) == Size(6, 5)
    assert pyramid(Size(100, 80)).levels[0].downsample == 1


def check_both_ways(slide: DeepZoomSlide) -> tuple[int, int]:
    """Compare passthrough with rendering on every tile; returns how many tiles went each way."""
    raw_count = rendered_count = 0
    for level in range(len(slide.pyramid.levels)):
        grid = slide.pyramid.grid(level)
        for column in range(grid.width):
            for row in range(grid.height):
                jpeg, raw = slide.tile(level, column, row)
                # Pillow decodes by the markers in the file, as a browser does.
                decoded = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
                rendered = slide.render(level, column, row).astype(int)
                assert decoded.shape == rendered.shape
                if raw:
                    raw_count += 1
                    assert np.abs(decoded - rendered).max() <= 1
                else:
                    rendered_count += 1
                    assert abs(decoded.mean(axis=(0, 1)) - rendered.mean(axis=(0, 1))).max() < 1.5
    return raw_count, rendered_count


def test_passthrough_equals_rendering(tmp_path: Path) -> None:
    slide = open_deep_zoom(write(tmp_path / "x.tif", textured(1500, 1100)))
    # Interior tiles of the three native levels: 5 x 4, 2 x 2 and 1 x 1; the rest, and the coarsest level, are rendered.
    assert check_both_ways(slide) == (25, 10 + 5 + 3 + 1)
    slide.close()


def test_passthrough_has_the_true_colours_not_magenta(tmp_path: Path) -> None:
    image = np.zeros((600, 600, 3), np.uint8)
    image[:] = (30, 160, 90)
    slide = open_deep_zoom(write(tmp_path / "green.tif", image, levels=1))
    jpeg, raw = slide.tile(len(slide.pyramid.levels) - 1, 0, 0)
    assert raw
    assert simplejpeg.decode_jpeg(jpeg)[100, 100].tolist() == pytest.approx([30, 160, 90], abs=3)
    slide.close()


def test_real_aperio_slide_passes_through_with_its_colours(real_data: Path) -> None:
    slide = open_deep_zoom(real_data / "slides" / "CMU-1-Small-Region.svs")
    raw, _ = check_both_ways(slide)
    assert raw == 9 * 12, "all interior tiles of the only native level"
    slide.close()


def test_an_icc_profile_changes_neither_way(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    plain = open_deep_zoom(write(tmp_path / "plain.tif", textured(600, 600)))
    tagged = open_deep_zoom(write(tmp_path / "icc.tif", textured(600, 600), iccprofile=profile))
    for passthrough in (True, False):
        tiles = [
            slide.tile(len(slide.pyramid.levels) - 1, 1, 1, passthrough=passthrough)[0] for slide in (plain, tagged)
        ]
        assert tiles[0] == tiles[1]
    plain.close()
    tagged.close()


def test_edge_tiles_end_with_the_slide(site: Site) -> None:
    answer = site.tile("one", 3, 5, 4)
    assert answer.headers["x-tile"] == "rendered"
    assert simplejpeg.decode_jpeg(answer.content).shape == (1100 - 4 * 256, 1500 - 5 * 256, 3)
    assert site.tile("one", 3, 4, 3).headers["x-tile"] == "passthrough"


# -- permission ----------------------------------------------------------------------------------------------------


def refused(answer, status: int, words: str) -> None:
    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert "Traceback" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_without_altered_expired_or_foreign_permission_nothing_is_shown(site: Site) -> None:
    path = f"{SLIDES_PATH}/one/info"
    good = site.headers("one")["Authorization"]
    refused(site.client.get(path), 403, "needs the permission")
    refused(site.client.get(path, headers={"Authorization": good[:-2] + "xx"}), 403, "altered")
    refused(site.client.get(path, headers=site.headers("one", lifetime_s=-1)), 403, "expired")
    refused(site.client.get(path, headers=site.headers("two")), 403, "another slide")
    refused(
        site.client.get(path, headers=site.headers("one", user="second-read-demonstration|eve")), 403, "another user"
    )
    site.client.cookies.clear()
    refused(site.client.get(path, headers=site.headers("one")), 403, "another user")


def test_a_cookie_of_another_secret_names_nobody(site: Site) -> None:
    site.client.cookies.clear()
    claims = demonstration_claims(site.settings, "Ada", role=Role.LEAD)
    forged = sign_in_cookie("another secret of thirty-two characters", claims, origin="http://x")
    site.client.cookies.set(COOKIE_NAME, forged)
    refused(site.client.get(f"{SLIDES_PATH}/one/info", headers=site.headers("one")), 403, "another user")


def test_the_token_says_what_it_permits() -> None:
    token = grant("one", user=ADA, model=True, lifetime_s=60)
    assert read(SECRET, sign(SECRET, token)).model
    assert subject_of({"is_logged_in": True, "iss": "second-read-demonstration", "sub": "ada"}) == ADA
    assert subject_of({"is_logged_in": False, "sub": "ada"}) is None


def test_the_models_layer_needs_the_reveal(site: Site) -> None:
    path = f"{SLIDES_PATH}/one/layers/run-1/model"
    refused(site.client.get(path, headers=site.headers("one")), 403, "stays hidden")
    refused(site.client.get(path, headers=site.headers("one", model=True)), 404, "missing")
    escape = f"{SLIDES_PATH}/one/layers/..%2F..%2Fx/model"
    assert site.client.get(escape, headers=site.headers("one", model=True)).status_code == 404
    assert site.client.get(f"{SLIDES_PATH}/one/layers/.../quality", headers=site.headers("one")).status_code == 404


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "column", "row"), [(4, 0, 0), (3, 6, 0), (3, 0, 5), (0, 1, 0)])
def test_a_tile_that_is_not_there(site: Site, level: int, column: int, row: int) -> None:
    refused(site.tile("one", level, column, row), 404, "no tile at level")


@pytest.mark.parametrize(
    ("level", "column", "row"), [("x", 0, 0), (-1, 0, 0), (3, "1.5", 0), (3, 0, ""), (3, "9" * 12, 0)]
)
def test_an_address_that_is_no_tile(site: Site, level: object, column: object, row: object) -> None:
    refused(site.tile("one", level, column, row), 422, "whole numbers")


def test_slides_that_cannot_be_shown(site: Site) -> None:
    refused(site.client.get(f"{SLIDES_PATH}/nobody/info", headers=site.headers("nobody")), 404, "no longer where")
    refused(site.client.get(f"{SLIDES_PATH}/broken/info", headers=site.headers("broken")), 422, "broken.tif")


def test_tissue_outline_lies_on_the_tissue_and_needs_a_scale(site: Site) -> None:
    image = np.full((1024, 1024, 3), 244, np.uint8)
    image[256:768, 320:704] = (200, 120, 180)
    write(site.folder / "block.tif", image)
    answer = site.client.get(f"{SLIDES_PATH}/block/layers/tissue", headers=site.headers("block"))
    corners = np.array([point for ring in answer.json()["rings"] for point in ring])
    assert corners.min(axis=0) == pytest.approx([320, 256], abs=80)
    assert corners.max(axis=0) == pytest.approx([704, 768], abs=80)
    write(site.folder / "unscaled.tif", image, resolution=None)
    path = f"{SLIDES_PATH}/unscaled/layers/tissue"
    refused(site.client.get(path, headers=site.headers("unscaled")), 422, "micrometres per pixel")


def test_a_moved_and_a_replaced_file_are_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.server.slide_cache.CHECK_EVERY_S", 0.0)
    before = site.info("one")["version"]
    path = f"{SLIDES_PATH}/one/{before}/tiles/3/1_1.jpg"
    assert site.client.get(path, headers=site.headers("one")).status_code == 200
    (site.folder / "one.tif").rename(site.folder / "gone.tif")
    refused(site.client.get(path, headers=site.headers("one")), 404, "no longer where")
    write(site.folder / "one.tif", textured(900, 900))
    refused(site.client.get(path, headers=site.headers("one")), 404, "replaced")
    assert site.info("one")["version"] != before


def test_regions_are_bounded(site: Site) -> None:
    version = site.info("one")["version"]
    ask = f"{SLIDES_PATH}/one/{version}/regions"
    answer = site.client.get(f"{ask}/100_200_400_200_96.jpg", headers=site.headers("one"))
    assert simplejpeg.decode_jpeg(answer.content).shape == (48, 96, 3)
    for bad, status in (("0_0_0_5_96", 422), ("0_0_5_5_9999", 422), ("1_2_3_96", 422), ("-1_0_5_5_96", 422)):
        assert site.client.get(f"{ask}/{bad}.jpg", headers=site.headers("one")).status_code == status


# -- caching -------------------------------------------------------------------------------------------------------


def test_tiles_are_kept_by_the_browser_and_not_sent_twice(site: Site) -> None:
    answer = site.tile("one", 3, 1, 1)
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]
    again = site.tile("one", 3, 1, 1, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = site.tile("one", 3, 2, 1, **{"If-None-Match": answer.headers["etag"]})
    assert other.status_code == 200
    unsigned = site.client.get(str(answer.url), headers={"If-None-Match": answer.headers["etag"]})
    assert unsigned.status_code == 403


def test_scripts_come_packed_and_a_missing_library_says_what_to_do(site: Site) -> None:
    answer = site.client.get("/viewer/assets/v/viewer.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "createViewer" in answer.text
    assert "export" in site.client.get("/viewer/assets/v/scale.js", headers={"Accept-Encoding": "identity"}).text
    missing = site.client.get("/viewer/assets/v/openseadragon.js")
    assert missing.status_code == 404
    assert "python -m core.setup_assets" in missing.text
    assert site.client.get("/viewer/assets/v/..%2Ftiles.py").status_code == 404
    assert site.client.get(PING_PATH).status_code == 204


# -- open slides ---------------------------------------------------------------------------------------------------


class Pretend:
    """A slide that counts how often it is closed, and fails when it is read afterwards."""

    def __init__(self, name: str) -> None:
        self.name, self.closed = name, 0

    def close(self) -> None:
        self.closed += 1

    def read(self) -> str:
        assert not self.closed, f"{self.name} was closed while in use"
        return self.name


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[OpenSlides, list[Pretend]]:
    made: list[Pretend] = []

    def open_place(place: SlidePlace) -> Pretend:
        time.sleep(0.002)
        made.append(Pretend(place.path.name))
        return made[-1]

    def locate(slide_id: str) -> SlidePlace:
        path = tmp_path / slide_id
        path.touch()
        return SlidePlace(path)

    return OpenSlides(locate, open_place, limit=3), made  # type: ignore[arg-type]


def test_the_longest_unused_slide_is_closed_first(shelf: tuple[OpenSlides, list[Pretend]]) -> None:
    slides, made = shelf
    for name in ("a", "b", "c", "a", "d"):
        with slides.borrow(name):
            pass
    assert slides.open_ids == ("c", "a", "d")
    assert [(one.name, one.closed) for one in made] == [("a", 0), ("b", 1), ("c", 0), ("d", 0)]
    slides.close()
    assert [one.closed for one in made] == [1, 1, 1, 1]


def test_a_slide_in_use_stays_open(shelf: tuple[OpenSlides, list[Pretend]]) -> None:
    slides, made = shelf
    with slides.borrow("a") as held:
        for name in "bcdef":
            with slides.borrow(name):
                pass
        assert held.slide.read() == "a"  # type: ignore[attr-defined]
        slides.close()
        assert made[0].closed == 0
    assert made[0].closed == 1


def test_many_threads_never_open_too_many_nor_one_twice(shelf: tuple[OpenSlides, list[Pretend]]) -> None:
    slides, made = shelf
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for name in rng.choice(list("abcdefgh"), 40):
                with slides.borrow(str(name)) as held:
                    assert held.slide.read() == name  # type: ignore[attr-defined]
                    assert sum(one.closed == 0 for one in made) <= 3
                    assert len(slides.open_ids) <= 3
        except BaseException as err:  # noqa: BLE001 - told by the main thread
            errors.append(err)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    slides.close()
    assert all(one.closed == 1 for one in made)


def test_a_slide_that_cannot_be_opened_leaves_no_place_taken(site: Site) -> None:
    for _ in range(5):
        assert site.client.get(f"{SLIDES_PATH}/broken/info", headers=site.headers("broken")).status_code == 422
    assert site.slides.open_ids == ()
    assert site.info("one")["width"] == 1500


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts file handles as Linux shows them")
def test_sixty_slides_in_a_row_leave_nothing_behind(site: Site) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    def resident_mib() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    for number in range(60):
        (site.folder / f"many-{number}.tif").hardlink_to(site.folder / "one.tif")

    def look(number: int) -> None:
        assert site.tile(f"many-{number}", 3, 1, 1).status_code == 200
        assert site.tile(f"many-{number}", 1, 0, 0).status_code == 200

    for number in range(12):
        look(number)
    gc.collect()
    first_handles, first_mib = handles(), resident_mib()
    for number in range(60):
        look(number)
    gc.collect()
    assert handles() <= first_handles + 2
    assert resident_mib() - first_mib < 40
    assert len(site.slides.open_ids) == 3


def test_tiles_have_threads_of_their_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """More requests than tile threads at once: no more than those run, and the server still answers others."""
    running, most, lock = 0, 0, threading.Lock()
    plain = DeepZoomSlide.tile

    def slow(self: DeepZoomSlide, level: int, column: int, row: int) -> tuple[bytes, bool]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.03)
        with lock:
            running -= 1
        return plain(self, level, column, row)

    monkeypatch.setattr(DeepZoomSlide, "tile", slow)
    answers: list[int] = []
    site.info("one")
    threads = [
        threading.Thread(target=lambda i=i: answers.append(site.tile("one", 3, i % 5, 0).status_code))
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    assert site.client.get(PING_PATH).status_code == 204
    for thread in threads:
        thread.join(20)
    assert answers == [200] * 20
    assert 1 < most <= READ_THREADS


def test_info_is_complete_and_holds_no_identifier(site: Site) -> None:
    info = site.info("one")
    assert json.loads(json.dumps(info)) == info
    assert set(info) == {
        "slide_id", "version", "width", "height", "tile_width", "tile_height", "levels", "mpp", "mpp_source",
        "objective_power", "vendor",
    }  # fmt: skip
    assert info["mpp"] == pytest.approx([0.5, 0.5])
