"""Tables of HistoQC: `results.tsv` with `#` lines above a header that begins with `#dataset:filename`.

HistoQC goes through its steps in order; the figure of each is the share of the pixels still in use that the step
removes, 0-1, and -100 where none were left. Ours are written and compared in that meaning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.interop.reads_csv import RowError

HEADER_MARK = "#dataset:"
KEY = "filename"
WARNINGS = "warnings"
NOTHING_LEFT = -100.0
PIXEL_UM = 8.0
"""um per pixel of `pixels_to_use`: HistoQC works at 1.25x, where an objective of 10x stands for 1 um."""
STEPS: Mapping[str, str] = {
    "pen_markings": "pen",
    "coverslip_edge": "bubble_edge",
    "blurry_removed_percent": "out_of_focus",
}
"""HistoQC's name of a step -> our artefact class, in the order in which HistoQC takes them."""
_PRIVATE = frozenset({"comment", "comments", "outdir"})
"""Columns that are not taken in: image descriptions and folders may name patients."""
_SHARES = ("_percent", "pen_markings", "coverslip_edge")
SIZE_LIMIT = 64 * 2**20
"""Bytes of a table."""


@dataclass(frozen=True, slots=True)
class HistoqcRow:
    """One slide in a table."""

    row: int
    """Line of the file."""
    filename: str
    metrics: Mapping[str, float | None]
    """Figures by HistoQC's names; None where HistoQC had nothing left to measure."""
    warnings: str


@dataclass(frozen=True, slots=True)
class HistoqcTable:
    """What a table says, and what of it cannot be used."""

    rows: tuple[HistoqcRow, ...]
    errors: tuple[RowError, ...]
    version: str
    """What the table says of the configuration it was made with; empty if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoqcSlide:
    """A slide of ours to be written."""

    filename: str
    comments: str
    type: str
    levels: int | None
    height: int | None
    width: int | None
    mpp_x: float | None
    mpp_y: float | None
    steps: Mapping[str, float]
    """From `steps_of`."""
    usable_mm2: float
    own: Mapping[str, str | float | int | None]
    """Columns of ours, which HistoQC does not have."""
    warnings: Sequence[str] = ()


def steps_of(tissue_mm2: float, areas_mm2: Mapping[str, float]) -> dict[str, float]:
    """Return our areas as HistoQC's steps: each the share of the tissue that the steps before it left.

    Args:
        tissue_mm2: All tissue.
        areas_mm2: Artefact class -> tissue in it; a point is in one class only.
    """
    left, found = tissue_mm2, dict[str, float]()
    for name, kind in STEPS.items():
        area = areas_mm2.get(kind, 0.0)
        found[name] = min(1.0, area / left) if left > 0 else NOTHING_LEFT
        left = max(0.0, left - area)
    return found


def write_table(slides: Sequence[HistoqcSlide], *, facts: Mapping[str, str]) -> str:
    """Return a table that readers of HistoQC's results take.

    Args:
        slides: A row each.
        facts: What stands in the `#` lines above; HistoQC's readers skip five of them.

    Raises:
        InputError: there are not exactly five facts.
    """
    if len(facts) != 5:
        raise InputError(f"Five lines stand above the header of a HistoQC table; {len(facts)} are given.")
    own = list(dict.fromkeys(name for slide in slides for name in slide.own))
    plain = ("comments", "type", "levels", "height", "width", "mpp_x", "mpp_y")
    columns = [*plain, *STEPS, "pixels_to_use", *own, WARNINGS]
    lines = [f"#{name}:\t{_cell(value)}" for name, value in facts.items()]
    lines.append("\t".join([f"{HEADER_MARK}{KEY}", *columns]))
    for slide in slides:
        cells = [slide.filename, *(getattr(slide, name) for name in plain), *(slide.steps[name] for name in STEPS)]
        cells += [round(slide.usable_mm2 * 1e6 / PIXEL_UM**2), *(slide.own.get(name) for name in own)]
        lines.append("\t".join([*(_cell(value) for value in cells), _cell("|".join(slide.warnings))]))
    return "\n".join(lines) + "\n"


def read_table(path: Path) -> HistoqcTable:
    """Read a table.

    Raises:
        InputError: it cannot be read, has no header, no file names, no figures or no rows; bad rows are in the result.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise InputError(f"{path.name} is larger than {SIZE_LIMIT // 2**20} MB, so it is no table of slides.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror}). Check the path.") from err
    except UnicodeDecodeError as err:
        raise InputError(f"{path.name} is not UTF-8 text. Give the results.tsv that HistoQC wrote.") from err
    return parse_table(text, name=path.name)


def parse_table(text: str, *, name: str) -> HistoqcTable:
    """Return the slides in a table; see `read_table`."""
    numbered = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    place = next((place for place, (_, line) in enumerate(numbered) if line.startswith(HEADER_MARK)), None)
    if place is None:
        raise InputError(f"{name} has no line that begins with {HEADER_MARK}{KEY}. Give HistoQC's results.tsv.")
    columns = [column.strip() for column in numbered[place][1].removeprefix(HEADER_MARK).split("\t")]
    _check_columns(columns, name=name)
    rows: list[HistoqcRow] = []
    errors: list[RowError] = []
    for number, line in numbered[place + 1 :]:
        if not line.startswith("#"):
            found = _row(number, line.split("\t"), columns)
            if isinstance(found, RowError):
                errors.append(found)
            else:
                rows.append(found)
    if not rows and not errors:
        raise InputError(f"{name} has no slides below its header.")
    return HistoqcTable(tuple(rows), tuple(errors), _version(line for _, line in numbered[:place]))


def _check_columns(columns: Sequence[str], *, name: str) -> None:
    if KEY not in columns:
        raise InputError(f"{name} has no column {KEY!r}. It has {', '.join(columns[:12])}.")
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise InputError(f"{name} has the column {twice[0]!r} twice, so nobody can tell which one counts.")
    if not any(step in columns for step in (*STEPS, "pixels_to_use")):
        raise InputError(f"{name} has none of the figures {', '.join(STEPS)} and pixels_to_use.")


def _row(number: int, cells: Sequence[str], columns: Sequence[str]) -> HistoqcRow | RowError:
    # The header may leave out the last column, the warnings, and a row without any may leave out the cell.
    if not len(columns) - 1 <= len(cells) <= len(columns) + 1:
        return RowError(number, KEY, f"The row has {len(cells)} cells for {len(columns)} columns.")
    values = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    # Paths of another machine, with separators of any system.
    filename = values.get(KEY, "").replace("\\", "/").rsplit("/", 1)[-1]
    if not filename:
        return RowError(number, KEY, "The file name is missing.")
    metrics: dict[str, float | None] = {}
    for column, text in values.items():
        if column in _PRIVATE or column in (KEY, WARNINGS, ""):
            continue
        figure = _number(text)
        if _is_figure(column):
            if figure is None:
                return RowError(number, column, f"{text!r} is no number.")
            if figure != NOTHING_LEFT and not _possible(column, figure):
                return RowError(number, column, f"{figure:g} is out of range; HistoQC writes a share, 0 to 1, or -100.")
        if figure is not None:
            metrics[column] = None if figure == NOTHING_LEFT else figure
    warnings = values.get(WARNINGS, cells[-1].strip() if len(cells) > len(columns) else "")
    return HistoqcRow(number, filename, metrics, warnings)


def _is_figure(column: str) -> bool:
    return column.endswith(_SHARES) or column == "pixels_to_use"


def _possible(column: str, figure: float) -> bool:
    return figure >= 0 if column == "pixels_to_use" else 0 <= figure <= 1


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _version(lines: Iterable[str]) -> str:
    """Return the configuration that the `#` lines name: without the folder, which says nothing to others."""
    for line in lines:
        name, _, value = line.removeprefix("#").partition(":")
        if name.strip() == "config_file":
            return value.strip().replace("\\", "/").rsplit("/", 1)[-1]
    return ""


def _cell(value: object) -> str:
    """Return a cell: nothing in it may look like the end of a cell or of a line."""
    if value is None:
        return "NA"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split())
