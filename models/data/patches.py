"""Labelled patches read from folders into memory, with the patient (or source image) that each one comes from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import InputError

_IDC_NAME = re.compile(r"(?P<patient>[^_/]+)_idx\d+_x\d+_y\d+_class(?P<label>\d)\.png")
_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_WHITE = 255


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """N labelled patches; entry i of every field belongs together."""

    images: NDArray[np.uint8]
    """(N, tile_px, tile_px, 3) RGB."""
    labels: NDArray[np.int64]
    """(N,) index into `classes`."""
    groups: tuple[str, ...]
    """Patient, or original image where patches are copies of one: what a split must never divide."""
    classes: tuple[str, ...]
    sha256: str
    """Over the relative paths and bytes of all files, in sorted order."""

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.groups):
            raise ValueError("Images, labels and groups must have the same length.")

    def __len__(self) -> int:
        return len(self.labels)

    def of_groups(self, groups: Iterable[str]) -> NDArray[np.bool_]:
        """Return (N,) True for the patches of these groups."""
        return np.isin(np.array(self.groups), sorted(set(groups)))

    def select(self, keep: NDArray[np.bool_]) -> Patches:
        """Return the patches where `keep` (N,) is True; the hash stays that of the whole data set."""
        groups = tuple(group for group, kept in zip(self.groups, keep, strict=True) if kept)
        return Patches(self.images[keep], self.labels[keep], groups, self.classes, self.sha256)


def read_idc(root: Path, *, classes: tuple[str, ...], tile_px: int = 50) -> Patches:
    """Read the layout of the public breast histopathology patches.

    `<patient>/<label>/<patient>_idx5_x<X>_y<Y>_class<label>.png`, label 1 for invasive ductal carcinoma.

    Args:
        root: Folder of the patients.
        classes: Names of label 0 and label 1.
        tile_px: Side of the patches; smaller ones (at a slide's right or lower edge) are padded with white.

    Raises:
        InputError: no patches, a name that contradicts its folder, or a file that is no such patch.
    """
    files = sorted(root.glob("*/*/*.png"))
    labels: list[int] = []
    groups: list[str] = []
    for file in files:
        match = _IDC_NAME.fullmatch(file.name)
        label, patient = file.parent.name, file.parent.parent.name
        if match is None or match["patient"] != patient or match["label"] != label or label not in ("0", "1"):
            raise InputError(f"{file} is not named <patient>/<0|1>/<patient>_idx5_x<X>_y<Y>_class<0|1>.png.")
        labels.append(int(label))
        groups.append(patient)
    return _read(root, files, labels, groups, classes=classes, tile_px=tile_px)


def read_class_folders(root: Path, *, classes: tuple[str, ...], tile_px: int) -> Patches:
    """Read `<class>/<group>/<file>`, where a group is one original image with its copies, or one patient.

    Raises:
        InputError: no patches, a class without its folder, or a file that is no image of at most `tile_px`.
    """
    files: list[Path] = []
    labels: list[int] = []
    groups: list[str] = []
    for index, name in enumerate(classes):
        if not (root / name).is_dir():
            raise InputError(f"{root} has no folder {name!r}; the classes asked for are {', '.join(classes)}.")
        found = sorted(path for path in (root / name).glob("*/*") if path.suffix.lower() in _IMAGE_SUFFIXES)
        files += found
        labels += [index] * len(found)
        groups += [f"{name}/{path.parent.name}" for path in found]
    return _read(root, files, labels, groups, classes=classes, tile_px=tile_px)


LAYOUTS: tuple[tuple[str, Callable[..., Patches]], ...] = (("idc", read_idc), ("class_folders", read_class_folders))
"""The readers by the name that a training configuration uses."""


def read_patches(root: Path, *, layout: str, classes: tuple[str, ...], tile_px: int) -> Patches:
    """Read a folder of patches in a named layout.

    Raises:
        InputError: no such layout or folder, or the folder does not hold that layout.
    """
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; set `data` in the training configuration to the patches.")
    for name, reader in LAYOUTS:
        if name == layout:
            return reader(root, classes=classes, tile_px=tile_px)
    raise InputError(f"There is no layout {layout!r}; known are {', '.join(name for name, _ in LAYOUTS)}.")


def pad_white(image: NDArray[np.uint8], *, tile_px: int) -> NDArray[np.uint8]:
    """Return an (H, W, 3) image with white added at the right and the bottom, up to (tile_px, tile_px, 3)."""
    height, width = image.shape[:2]
    padding = ((0, tile_px - height), (0, tile_px - width), (0, 0))
    return np.pad(image, padding, constant_values=_WHITE)


def _read(
    root: Path, files: list[Path], labels: list[int], groups: list[str], *, classes: tuple[str, ...], tile_px: int
) -> Patches:
    if not files:
        raise InputError(f"{root} holds no patches in the layout asked for.")
    images = np.empty((len(files), tile_px, tile_px, 3), np.uint8)
    digest = hashlib.sha256()
    with ThreadPoolExecutor(2) as pool:
        decoded = pool.map(partial(_decode, tile_px=tile_px), files)
        for index, (image, content_hash) in enumerate(decoded):
            images[index] = image
            digest.update(files[index].relative_to(root).as_posix().encode() + b"\0" + content_hash)
    return Patches(images, np.array(labels, np.int64), tuple(groups), classes, digest.hexdigest())


def _decode(file: Path, *, tile_px: int) -> tuple[NDArray[np.uint8], bytes]:
    content = file.read_bytes()
    try:
        image = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
    except (UnidentifiedImageError, OSError) as err:
        raise InputError(f"{file} cannot be read as an image; remove or replace it.") from err
    if max(image.shape[:2]) > tile_px:
        raise InputError(f"{file} is {image.shape[1]} x {image.shape[0]} px, larger than the {tile_px} px of a patch.")
    return pad_white(image, tile_px=tile_px), hashlib.sha256(content).digest()
