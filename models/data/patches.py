"""Labelled patches read from folders into memory, with the patient (or source image) that each one comes from."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import InputError

_IDC_NAME = re.compile(r"(?P<patient>[^_/]+)_idx\d+_x\d+_y\d+_class(?P<label>\d)\.png")
_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_WHITE = 255


class Fresh(Protocol):
    """Makes new patches of given classes, for data that are made and not collected."""

    def of_groups(self, groups: Collection[str], /) -> Fresh:
        """Return one that uses these groups only."""
        ...

    def draw(self, labels: NDArray[np.int64], /, *, seed: Sequence[int]) -> NDArray[np.uint8]:
        """Return a new patch (tile_px, tile_px, 3) for each label; the same seed gives the same patches."""
        ...


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
    warnings: tuple[str, ...] = ()
    """Sentences about the data that whoever uses it should read."""
    fresh: Fresh | None = None
    """Makes patches anew for every step of a training, which then uses of `images` only their number and labels."""

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
        fresh = None if self.fresh is None else self.fresh.of_groups(set(groups))
        return replace(self, images=self.images[keep], labels=self.labels[keep], groups=groups, fresh=fresh)


Unreadable = Callable[[str], None]
"""Called with a sentence about a file that cannot be used, which is then left out. Without it the first such file is
refused: a model must not be trained on a folder that is damaged unnoticed."""


def read_idc(
    root: Path, *, classes: tuple[str, ...], tile_px: int = 50, unreadable: Unreadable | None = None
) -> Patches:
    """Read the layout of the public breast histopathology patches.

    `<patient>/<label>/<patient>_idx5_x<X>_y<Y>_class<label>.png`, label 1 for invasive ductal carcinoma.

    Args:
        root: Folder of the patients.
        classes: Names of label 0 and label 1.
        tile_px: Side of the patches; smaller ones (at a slide's right or lower edge) are padded with white.
        unreadable: What to do with files that cannot be used.

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
    return _read(root, files, labels, groups, classes=classes, tile_px=tile_px, unreadable=unreadable)


def read_class_groups(
    root: Path, *, classes: tuple[str, ...], tile_px: int, unreadable: Unreadable | None = None
) -> Patches:
    """Read `<class>/<group>/<file>`, where a group is one original image with its copies, or one patient.

    Groups are named `<class>/<group>`, so those of different classes are never one; where classes share names of
    groups, the patches carry a warning: these may be patients, whose patches would then lie on both sides of a split.

    Raises:
        InputError: no patches, a class without its folder, or a file that is no image of at most `tile_px`.
    """
    files, labels = _files_by_class(root, classes=classes, pattern="*/*")
    groups = [f"{classes[label]}/{file.parent.name}" for file, label in zip(files, labels, strict=True)]
    found = _read(root, files, labels, groups, classes=classes, tile_px=tile_px, unreadable=unreadable)
    times = Counter(group.partition("/")[2] for group in set(groups))
    shared = sorted(name for name, number in times.items() if number > 1)
    return replace(found, warnings=(_SHARED.format(", ".join(shared[:5])),)) if shared else found


def read_class_folders(
    root: Path,
    *,
    classes: tuple[str, ...],
    tile_px: int,
    groups: Path | None = None,
    unreadable: Unreadable | None = None,
) -> Patches:
    """Read `<class>/<file>`.

    Args:
        root: Folder of the classes.
        classes: Names of the folders, in the order of the labels.
        tile_px: Side of the patches; smaller ones are padded with white.
        groups: CSV with the columns file (relative to `root`) and group. Without it every file is a group of its own,
            and the patches carry a warning: patches of one patient may then lie on both sides of a split.
        unreadable: What to do with files that cannot be used.

    Raises:
        InputError: no patches, a class without its folder, a file without a group, or one that is no such image.
    """
    files, labels = _files_by_class(root, classes=classes, pattern="*")
    names = [file.relative_to(root).as_posix() for file in files]
    if groups is None:
        found = _read(root, files, labels, names, classes=classes, tile_px=tile_px, unreadable=unreadable)
        return replace(found, warnings=(_UNGROUPED,))
    of_file = read_groups(groups)
    missing = sorted(set(names) - set(of_file))
    if missing:
        raise InputError(f"{groups} names no group for {len(missing)} files: {', '.join(missing[:10])}.")
    grouped = [of_file[name] for name in names]
    return _read(root, files, labels, grouped, classes=classes, tile_px=tile_px, unreadable=unreadable)


def read_groups(path: Path) -> dict[str, str]:
    """Read a CSV with the columns file and group.

    Raises:
        InputError: it cannot be read, lacks a column or a value, or names a file twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"The groups {path} cannot be read as a CSV with the columns file and group.") from err
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        name, group = row.get("file"), row.get("group")
        if not name or not group or name in found:
            raise InputError(f"Line {number} of {path} needs a file that no other line has, and its group.")
        found[name] = group
    return found


LAYOUTS = ("idc", "class_folders", "class_group")
"""Layouts of folders by the name that a training configuration uses; "slides" is cut by core.services instead."""

_UNGROUPED = (
    "No groups were given, so every file counts as a patient of its own: where several patches come from one patient, "
    "figures look better than they are."
)


_SHARED = (
    "Several classes have groups of the same name ({}, ...); they count as different ones. If they are patients, split "
    'them as such with the layout "class_folders" and a table of groups.'
)


def read_patches(
    root: Path,
    *,
    layout: str,
    classes: tuple[str, ...],
    tile_px: int,
    groups: Path | None = None,
    unreadable: Unreadable | None = None,
) -> Patches:
    """Read a folder of patches in a named layout.

    Raises:
        InputError: no such layout or folder, or the folder does not hold that layout.
    """
    if layout not in LAYOUTS:
        raise InputError(f"There is no layout {layout!r} of patch folders; known are {', '.join(LAYOUTS)}.")
    if groups is not None and layout != "class_folders":
        raise InputError(f'groups belongs to the layout "class_folders"; the names of {layout!r} state the groups.')
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; set `data` in the training configuration to the patches.")
    if layout == "class_folders":
        return read_class_folders(root, classes=classes, tile_px=tile_px, groups=groups, unreadable=unreadable)
    reader = read_idc if layout == "idc" else read_class_groups
    return reader(root, classes=classes, tile_px=tile_px, unreadable=unreadable)


def pad_white(image: NDArray[np.uint8], *, tile_px: int) -> NDArray[np.uint8]:
    """Return an (H, W, 3) image with white added at the right and the bottom, up to (tile_px, tile_px, 3)."""
    height, width = image.shape[:2]
    padding = ((0, tile_px - height), (0, tile_px - width), (0, 0))
    return np.pad(image, padding, constant_values=_WHITE)


def _files_by_class(root: Path, *, classes: tuple[str, ...], pattern: str) -> tuple[list[Path], list[int]]:
    files: list[Path] = []
    labels: list[int] = []
    for index, name in enumerate(classes):
        if not (root / name).is_dir():
            raise InputError(f"{root} has no folder {name!r}; the classes asked for are {', '.join(classes)}.")
        found = sorted(path for path in (root / name).glob(pattern) if path.suffix.lower() in _IMAGE_SUFFIXES)
        if not found:
            raise InputError(f"{root / name} holds no patches in the layout asked for.")
        files += found
        labels += [index] * len(found)
    return files, labels


def _read(
    root: Path,
    files: list[Path],
    labels: list[int],
    groups: list[str],
    *,
    classes: tuple[str, ...],
    tile_px: int,
    unreadable: Unreadable | None,
) -> Patches:
    if not files:
        raise InputError(f"{root} holds no patches in the layout asked for.")
    images = np.empty((len(files), tile_px, tile_px, 3), np.uint8)
    usable = np.ones(len(files), bool)
    digest = hashlib.sha256()
    with ThreadPoolExecutor(2) as pool:
        for index, decoded in enumerate(pool.map(partial(_try_decode, tile_px=tile_px), files)):
            if isinstance(decoded, InputError):
                if unreadable is None:
                    raise decoded
                unreadable(str(decoded))
                usable[index] = False
                continue
            images[index], content_hash = decoded
            digest.update(files[index].relative_to(root).as_posix().encode() + b"\0" + content_hash)
    if not usable.any():
        raise InputError(f"None of the {len(files)} patches in {root} can be read.")
    whole = Patches(images, np.array(labels, np.int64), tuple(groups), classes, digest.hexdigest())
    return whole if usable.all() else whole.select(usable)


def _try_decode(file: Path, *, tile_px: int) -> tuple[NDArray[np.uint8], bytes] | InputError:
    try:
        return _decode(file, tile_px=tile_px)
    except InputError as err:
        return err


def _decode(file: Path, *, tile_px: int) -> tuple[NDArray[np.uint8], bytes]:
    try:
        content = file.read_bytes()
        image = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as err:  # Pillow's own for a broken PNG chunk
        raise InputError(f"{file} cannot be read as an image; remove or replace it.") from err
    if max(image.shape[:2]) > tile_px:
        raise InputError(f"{file} is {image.shape[1]} x {image.shape[0]} px, larger than the {tile_px} px of a patch.")
    return pad_white(image, tile_px=tile_px), hashlib.sha256(content).digest()
