"""The files of one run: `results/<slide-id>/<run-id>/`. Every file appears whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from core.errors import NotFoundError, StorageError
from core.settings import Settings

THUMBNAIL_PX = 1024
"""Longer side of the stored thumbnail and of the overlays that lie on it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a killed run had already computed."""

    key: str
    """What it was computed from: slide, grid and weights. Another key, another run."""
    probabilities: NDArray[np.float32]
    """(done, C)"""
    saliency: NDArray[np.float32]
    """(done,)"""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where one run keeps its files."""

    home: Path
    slide_id: str
    run_id: str

    @classmethod
    def of(cls, settings: Settings, slide_id: str, run_id: str) -> RunFolder:
        """Return the folder of a run; nothing is created yet."""
        return cls(settings.home, slide_id, run_id)

    @property
    def relative(self) -> str:
        """Path below the home folder, as the log keeps it."""
        return f"results/{self.slide_id}/{self.run_id}"

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.home / "results" / self.slide_id / self.run_id

    def write_image(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Write RGB or RGBA pixels (H, W, 3|4) as `thumbnail.jpg`, `heatmap.png` ..."""
        with self._replacing(name) as file:
            image = Image.fromarray(pixels)
            if name.endswith(".jpg"):
                image.save(file, "JPEG", quality=85)
            else:
                image.save(file, "PNG", optimize=True)

    def write_codes(self, name: str, codes: NDArray[np.uint8], *, palette: bytes) -> None:
        """Write a map of class codes (H, W) as a palette PNG; the last code is transparent.

        Args:
            name: Of the file.
            codes: (H, W).
            palette: 256 colours, 3 bytes each.
        """
        with self._replacing(name) as file:
            save_codes(file, codes, palette=palette)

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Write plain values."""
        with self._replacing(name) as file:
            file.write(json.dumps(content, indent=1, sort_keys=True, default=str).encode())

    def write_tiles(self, tiles: pd.DataFrame) -> None:
        """Write `tiles.parquet`."""
        with self._replacing("tiles.parquet") as file:
            tiles.to_parquet(file, index=False)

    def write_record(self, record: Mapping[str, object]) -> None:
        """Write `run.json`."""
        self.write_json("run.json", record)

    def read_tiles(self) -> pd.DataFrame:
        """Read `tiles.parquet`.

        Raises:
            NotFoundError: the file is gone; the sentence says how to get it back.
        """
        return pd.read_parquet(self._existing("tiles.parquet"))

    def read_image(self, name: str) -> NDArray[np.uint8]:
        """Read a picture of the run as RGB or RGBA."""
        with Image.open(self._existing(name)) as image:
            return np.asarray(image)

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep what is computed so far, for a run that is killed."""
        with self._replacing("checkpoint.npz") as file:
            np.savez(file, key=checkpoint.key, probabilities=checkpoint.probabilities, saliency=checkpoint.saliency)

    def read_checkpoint(self, *, key: str) -> Checkpoint | None:
        """Return what a killed run left, or None if there is nothing, or if it was computed from something else."""
        path = self.path / "checkpoint.npz"
        if not path.is_file():
            return None
        with np.load(path) as data:
            found = Checkpoint(str(data["key"]), data["probabilities"], data["saliency"])
        return found if found.key == key else None

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint of a finished run."""
        (self.path / "checkpoint.npz").unlink(missing_ok=True)

    def _existing(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise NotFoundError(f"{self.relative}/{name} is missing. Analyse {self.slide_id} again to restore it.")
        return path

    @contextmanager
    def _replacing(self, name: str) -> Generator[BinaryIO]:
        """Write beside the target and move over it, so that a kill or a full disk leaves the old file or none."""
        part = self.path / f"{name}.part"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                yield file
            os.replace(part, self.path / name)
        except OSError as err:
            raise StorageError(
                f"{self.relative}/{name} cannot be written below {self.home} ({err.strerror or err}). "
                "Free some space or make the folder writable, then retry."
            ) from err
        finally:
            # Where even the clean-up is refused, the first reason is the one to tell.
            with suppress(OSError):
                part.unlink(missing_ok=True)


def save_codes(file: BinaryIO, codes: NDArray[np.uint8], *, palette: bytes) -> None:
    """Write class codes (H, W) as a palette PNG whose pixels are the codes; code 255 is transparent."""
    image = Image.fromarray(codes)
    image.putpalette(palette)
    image.save(file, "PNG", transparency=255)
