"""Fixtures shared by the whole suite: real data where present, a small synthetic slide, a numpy model, a fresh log."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from core.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SECOND_READ_TEST_DATA", PROJECT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real slides, patches and tables; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set SECOND_READ_TEST_DATA)")
    return DATA


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty home of their own."""
    return Settings(home=tmp_path / "home")


def tissue_image(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """White glass with one textured pink-violet rectangle over the middle: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 243, np.uint8)
    top, left = height // 5, width // 5
    box = (height - 2 * top, width - 2 * left)
    pink = np.array([205, 140, 185]) + rng.normal(0, 18, (*box, 1)) + rng.normal(0, 4, (*box, 3))
    nuclei = rng.random(box) < 0.12
    pink[nuclei] = np.array([105, 60, 140]) + rng.normal(0, 12, (int(nuclei.sum()), 3))
    image[top : top + box[0], left : left + box[1]] = pink.clip(0, 255).astype(np.uint8)
    return image


def write_pyramid(path: Path, image: NDArray[np.uint8], *, mpp: float | None = 0.5, levels: int = 3) -> Path:
    """Write a tiled, JPEG-compressed pyramidal TIFF that OpenSlide reads; each level is half of the one before."""
    resolution = {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"} if mpp else {}
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            step = 2**level
            tiff.write(
                image[::step, ::step],
                photometric="rgb",
                tile=(256, 256),
                compression="jpeg",
                subfiletype=1 if level else 0,
                **(resolution if level == 0 else {}),
            )
    return path


@pytest.fixture
def synthetic_slide(tmp_path: Path) -> Path:
    """A 2,048 x 1,536 px pyramidal slide at 0.5 um/px with tissue in the middle."""
    return write_pyramid(tmp_path / "synthetic.tif", tissue_image(2048, 1536))


class FakeModel:
    """A TileModel in numpy: the darker a tile, the more probable "tumour"."""

    name = "fake"
    classes = ("benign", "tumour")
    tile_px = 64
    mpp = 2.0
    device = "numpy"
    parallel_calls = 2

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, 2) probabilities from the mean darkness of (N, H, W, 3) tiles."""
        dark = 1 - tiles.astype(np.float32).mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - dark, dark], axis=1).astype(np.float32)


@pytest.fixture
def fake_model() -> FakeModel:
    """A model that needs no torch."""
    return FakeModel()
