"""What a document is made of: blocks of plain values, whatever they are written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.domain import NOT_FOR_DIAGNOSIS

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_WIDTH_MM = 180.0
"""Width of the text on A4 between margins of 15 mm."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within the document."""

    text: str
    level: int = 2
    """2 for a section, 3 for a part of one; 1 is the document's own title."""

    def __post_init__(self) -> None:
        if self.level not in (2, 3):
            raise ValueError(f"A heading has the level 2 or 3, got {self.level}.")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with their values, one a line."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text; numbers are formatted by whoever builds it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    number_columns: frozenset[int] = frozenset()
    """Indices of the columns whose cells stand to the right."""
    widths: tuple[float, ...] = ()
    """Relative widths of the columns; empty = by their contents."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"A row has {len(row)} cells, the table {len(self.columns)} columns: {row!r}.")
        if self.widths and len(self.widths) != len(self.columns):
            raise ValueError(f"{len(self.widths)} widths for {len(self.columns)} columns.")


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with the words below it."""

    png: bytes
    caption: str
    alt: str
    """What the picture shows, for those who do not see it."""
    width_mm: float = 120.0

    def __post_init__(self) -> None:
        if not self.png.startswith(PNG_SIGNATURE):
            raise ValueError("A figure is given as the bytes of a PNG file.")
        if not 0 < self.width_mm <= TEXT_WIDTH_MM:
            raise ValueError(f"A figure is up to {TEXT_WIDTH_MM:g} mm wide, got {self.width_mm:g}.")


@dataclass(frozen=True, slots=True)
class PageBreak:
    """What follows begins on a page of its own when printed."""


Block = Heading | Paragraph | Facts | Table | Figure | PageBreak


@dataclass(frozen=True, slots=True)
class Document:
    """A report. The sentence on its use stands below the title and on every page, whatever the blocks are."""

    title: str
    blocks: Sequence[Block]
    subtitle: str = ""
    made_by: str = ""
    """Program, version and time, for the foot of every page."""
    use: str = field(default=NOT_FOR_DIAGNOSIS)
    """What it may be used for; other sentences may be added to the fixed one, which always comes first."""

    def __post_init__(self) -> None:
        if not self.use.startswith(NOT_FOR_DIAGNOSIS):
            raise ValueError(f"The sentence on the use begins with: {NOT_FOR_DIAGNOSIS}")
