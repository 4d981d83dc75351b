"""Small clean tissue for tests of artefacts: no files of anybody, drawn from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

SIDE = 88


def tissue(*, seed: int = 0, side: int = SIDE) -> NDArray[np.float32]:
    """Pink tissue with violet nuclei and a pale lumen, sharp: (side, side, 3), 0-255."""
    random = np.random.default_rng(seed)
    image = np.full((side, side, 3), (215, 150, 190), np.float32) + random.normal(0, 6, (side, side, 1))
    nuclei = ndimage.gaussian_filter(random.random((side, side)), 1.5)
    image[nuclei > np.quantile(nuclei, 0.85)] = (110, 70, 150)
    image[: side // 6, : side // 6] = 243
    return image.clip(0, 255).astype(np.float32)


def write_sources(root: Path, *, patients: int = 8, lungs: int = 8) -> None:
    """Write breast patches, lung tiles and a slide in the layouts of the real data."""
    for number in range(patients):
        folder = root / "idc" / f"{100 + number}" / "0"
        folder.mkdir(parents=True)
        for place in range(2):
            name = f"{100 + number}_idx5_x{51 + 50 * place}_y51_class0.png"
            _save(tissue(seed=10 * number + place, side=50), folder / name)
    for number in range(lungs):
        folder = root / "lung" / "lung_n" / f"g{number}"
        folder.mkdir(parents=True)
        _save(tissue(seed=500 + number, side=224), folder / "a.jpeg")
    (root / "slides").mkdir()
    _save(tissue(seed=900, side=640), root / "slides" / "region.png")


def _save(image: NDArray[np.float32], path: Path) -> None:
    Pillow.fromarray(image.astype(np.uint8)).save(path)
