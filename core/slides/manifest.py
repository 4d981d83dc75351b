"""The manifest: a CSV that lists slides with what the files themselves do not say."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.domain import Mpp, MppSource, Stain
from core.errors import InputError, InvalidMppError

COLUMNS = ("path", "case", "mpp", "stain", "tissue", "site", "scanner")
"""Columns a manifest may have; only `path` is required."""

_STAINS = {"he": Stain.HE, "h&e": Stain.HE, "ihc": Stain.IHC, "unknown": Stain.UNKNOWN, "": Stain.UNKNOWN}


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One slide of a manifest."""

    path: Path
    """Absolute, or relative paths already resolved against the manifest's folder. It need not exist."""
    case: str | None = None
    mpp: float | None = None
    """um/px at level 0."""
    stain: Stain = Stain.UNKNOWN
    tissue: str | None = None
    """Organ or site of the tissue, e.g. "breast"."""
    site: str | None = None
    scanner: str | None = None


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """Read a manifest. Commas or, as spreadsheets of some countries write them, semicolons separate the columns.

    Raises:
        InputError: the file cannot be read; a column is unknown, missing or double; a row is too long, lacks its path,
            repeats another's path, or has a scale or stain that cannot be. The sentence names row and column; row 1 is
            the header, as in a spreadsheet.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise InputError(f"The manifest {path} cannot be read ({err.strerror}). Check the path.") from err
    except UnicodeDecodeError as err:
        raise InputError(f"The manifest {path.name} is not UTF-8 text. Save it as 'CSV UTF-8'.") from err
    rows = tuple(_rows(text, folder=path.absolute().parent, name=path.name))
    if not rows:
        raise InputError(f"The manifest {path.name} lists no slide. Add one row a slide below the header.")
    return rows


def _rows(text: str, *, folder: Path, name: str) -> Iterator[ManifestRow]:
    lines = text.splitlines()
    header = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter=";" if ";" in header and "," not in header else ",")
    first: list[str] = next(reader, list[str]())
    columns = _columns(first, name=name)
    seen: dict[Path, int] = {}
    for cells in reader:
        number = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns):
            raise InputError(
                f"Row {number} of {name} has {len(cells)} cells for {len(columns)} columns. "
                "Put a cell that holds the separator in double quotes."
            )
        padded = [cell.strip() for cell in cells] + [""] * (len(columns) - len(cells))
        row = _row(dict(zip(columns, padded, strict=True)), folder=folder, where=f"Row {number} of {name}")
        if row.path in seen:
            raise InputError(
                f"Row {number} of {name}, column path: {row.path.name} is already in row {seen[row.path]}."
            )
        seen[row.path] = number
        yield row


def _columns(header: list[str], *, name: str) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    for position, column in enumerate(columns, start=1):
        if column not in COLUMNS:
            raise InputError(
                f"Row 1 of {name}, column {position}: {column!r} is not a column of a manifest. "
                f"Use {', '.join(COLUMNS)}."
            )
        if columns.index(column) != position - 1:
            raise InputError(f"Row 1 of {name}, column {position}: {column} occurs twice.")
    if "path" not in columns:
        raise InputError(f"Row 1 of {name}: the column path is missing.")
    return columns


def _row(cells: Mapping[str, str], *, folder: Path, where: str) -> ManifestRow:
    if not cells["path"]:
        raise InputError(f"{where}, column path: it is empty.")
    stain = _STAINS.get(cells.get("stain", "").lower())
    if stain is None:
        raise InputError(f"{where}, column stain: {cells['stain']!r} is none of he, ihc, unknown.")
    return ManifestRow(
        path=folder / Path(cells["path"]).expanduser(),
        case=cells.get("case") or None,
        mpp=_mpp(cells.get("mpp", ""), where=where),
        stain=stain,
        tissue=cells.get("tissue") or None,
        site=cells.get("site") or None,
        scanner=cells.get("scanner") or None,
    )


def _mpp(text: str, *, where: str) -> float | None:
    if not text:
        return None
    try:
        return Mpp(float(text), float(text), MppSource.USER).x
    except InvalidMppError as err:
        raise InputError(f"{where}, column mpp: {err}") from err
    except ValueError as err:
        raise InputError(f"{where}, column mpp: {text!r} is not a number. Write 0.25, with a point.") from err
