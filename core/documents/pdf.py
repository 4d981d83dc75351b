"""A document as PDF on A4, by fpdf2, in the DejaVu fonts that matplotlib carries: they have every sign we write."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.fonts import FontFace
from PIL import Image

from core.documents.content import (
    TEXT_WIDTH_MM,
    Block,
    Document,
    Facts,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Table,
)

_MARGIN_MM = 15.0
_FONT = "DejaVu"
_SIZES_PT = {1: 16.0, 2: 12.0, 3: 10.0}
_TEXT_PT = 9.0
_SMALL_PT = 8.0
_LINE_MM = 4.6
_LABEL_MM = 50.0
_FOOT_MM = 12.0
_GREY = 70
_MOST_FIGURE_MM = 230.0
"""Height that still fits on a page with its caption."""


class _Pages(FPDF):
    """A4 pages with the sentence on the use and the page number at the foot."""

    def __init__(self, document: Document) -> None:
        super().__init__(unit="mm", format="A4")
        self._document = document
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.add_font(_FONT, "", fonts / "DejaVuSans.ttf")
        self.add_font(_FONT, "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=_FOOT_MM + 8)
        self.set_title(document.title)
        self.set_lang("en")

    def footer(self) -> None:
        """Write the foot of a page; fpdf2 calls this."""
        document = self._document
        self.set_y(-_FOOT_MM - 4)
        self.set_font(_FONT, "", 7)
        self.set_text_color(_GREY)
        left = " · ".join(text for text in (document.use, document.made_by) if text)
        self.multi_cell(TEXT_WIDTH_MM - 25, 3.2, left, align=Align.L, new_x=XPos.RIGHT, new_y=YPos.TOP)
        self.cell(25, 3.2, f"{self.page_no()} / {{nb}}", align=Align.R)
        self.set_text_color(0)


def write_pdf(document: Document) -> bytes:
    """Return the document as the bytes of a PDF file."""
    pages = _Pages(document)
    pages.add_page()
    _text(pages, document.title, size_pt=_SIZES_PT[1], bold=True)
    if document.subtitle:
        _text(pages, document.subtitle, size_pt=_TEXT_PT, grey=True)
    _text(pages, document.use, size_pt=_TEXT_PT, bold=True)
    for block in document.blocks:
        _write(pages, block)
    return bytes(pages.output())


def _write(pages: _Pages, block: Block) -> None:
    match block:
        case Heading(text, level):
            _heading(pages, text, level=level)
        case Paragraph(text, strong):
            _text(pages, text, size_pt=_TEXT_PT, bold=strong)
        case Facts():
            _facts(pages, block)
        case Table():
            _table(pages, block)
        case Figure():
            _figure(pages, block)
        case PageBreak():
            pages.add_page()


def _text(pages: _Pages, text: str, *, size_pt: float, bold: bool = False, grey: bool = False) -> None:
    pages.set_font(_FONT, "B" if bold else "", size_pt)
    pages.set_text_color(_GREY if grey else 0)
    pages.multi_cell(TEXT_WIDTH_MM, size_pt * 0.5, text, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pages.set_text_color(0)
    pages.ln(1.5)


def _heading(pages: _Pages, text: str, *, level: int) -> None:
    if pages.will_page_break(30):
        # A heading at the foot of a page would stand there without what it announces.
        pages.add_page()
    pages.ln(3 if level == 2 else 1)
    _text(pages, text, size_pt=_SIZES_PT[level], bold=True)


def _facts(pages: _Pages, facts: Facts) -> None:
    for label, value in facts.rows:
        if pages.will_page_break(_LINE_MM):
            pages.add_page()
        top, page = pages.get_y(), pages.page
        pages.set_font(_FONT, "", _TEXT_PT)
        pages.set_text_color(_GREY)
        pages.multi_cell(_LABEL_MM, _LINE_MM, label, align=Align.L, new_x=XPos.RIGHT, new_y=YPos.TOP)
        pages.set_text_color(0)
        below_label = top + _LINE_MM
        wide = TEXT_WIDTH_MM - _LABEL_MM
        pages.multi_cell(wide, _LINE_MM, value or "-", align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if pages.page == page:
            pages.set_y(max(pages.get_y(), below_label))
    pages.ln(1.5)


def _table(pages: _Pages, table: Table) -> None:
    pages.set_font(_FONT, "", _SMALL_PT)
    aligns = [Align.R if index in table.number_columns else Align.L for index in range(len(table.columns))]
    bold = FontFace(emphasis="BOLD", fill_color=(235, 235, 235))
    with pages.table(
        col_widths=table.widths or _widths(table),
        text_align=aligns,
        headings_style=bold,
        line_height=4.2,
        padding=0.6,
        width=TEXT_WIDTH_MM,
    ) as written:
        for row in (table.columns, *table.rows):
            cells = written.row()
            for text in row:
                cells.cell(text)
    pages.ln(1)
    if table.caption:
        _text(pages, table.caption, size_pt=_SMALL_PT, grey=True)


def _widths(table: Table) -> tuple[float, ...]:
    """Widths by the longest cell of each column, held within bounds so that one long cell does not starve the rest."""
    longest = [max(len(row[index]) for row in (table.columns, *table.rows)) for index in range(len(table.columns))]
    return tuple(float(min(max(length, 8), 40)) for length in longest)


def _figure(pages: _Pages, figure: Figure) -> None:
    with Image.open(io.BytesIO(figure.png)) as picture:
        wide, high = picture.size
    width_mm = min(figure.width_mm, _MOST_FIGURE_MM * wide / high)
    if pages.will_page_break(width_mm * high / wide + 8):
        pages.add_page()
    pages.image(io.BytesIO(figure.png), w=width_mm, alt_text=figure.alt)
    pages.ln(1)
    _text(pages, figure.caption, size_pt=_SMALL_PT, grey=True)
