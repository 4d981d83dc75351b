"""Documents: one content in HTML and PDF, nothing from elsewhere, and the sentence on the use wherever one looks."""

from __future__ import annotations

import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from core.documents import Document, Facts, Figure, Heading, PageBreak, Paragraph, Table, to_html, to_pdf
from core.documents.figures import Series, bar_chart, heat_table, line_chart, scatter_chart
from core.domain import NOT_FOR_DIAGNOSIS

X = np.linspace(0, 1, 20)


def picture(width: int = 40, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 60)).save(buffer, "PNG")
    return buffer.getvalue()


def document(*blocks: object, **more: str) -> Document:
    return Document("Report <1>", blocks, **more)  # type: ignore[arg-type]


EVERY_BLOCK = (
    Heading("Data & model"),
    Heading("Part", 3),
    Paragraph("Area ≥ 5 µm², <script>alert(1)</script>"),
    Paragraph("Look again.", strong=True),
    Facts((("Weights", "ab" * 200), ("Empty", ""))),
    Table(("Measure", "Value"), tuple((f"AUC {i}", "0.91") for i in range(80)), "By patient.", frozenset({1})),
    Figure(picture(), "A caption", "A red square"),
    PageBreak(),
    Figure(picture(10, 400), "Very tall", "A red line", width_mm=150),
)


def test_html_is_one_file_that_runs_nothing_and_asks_nobody() -> None:
    html = to_html(document(*EVERY_BLOCK, made_by="Second Read 0.1.0"))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"""(?:src|href)=["'](?!data:image/png;base64,)""", html)
    assert "http" not in html
    assert html.count("<tr>") == 81
    assert 'alt="A red square"' in html
    assert html.count(NOT_FOR_DIAGNOSIS) == 2


def test_pdf_has_every_page_with_its_foot() -> None:
    pdf = to_pdf(document(*EVERY_BLOCK, made_by="Second Read 0.1.0"))
    assert pdf.startswith(b"%PDF-")
    count = re.search(rb"/Type /Pages\s.*?/Count (\d+)", pdf, re.DOTALL) or re.search(rb"/Count (\d+)", pdf)
    assert count is not None
    pages = int(count[1])
    # Eighty rows fill two pages, the break and the tall figure need one more.
    assert 3 <= pages <= 5
    contents = [zlib.decompress(part) for part in re.findall(rb"stream\n(x.*?)\nendstream", pdf, re.DOTALL)]
    assert sum(b"BT" in text for text in contents) >= pages
    assert b"http" not in b"".join(text for text in contents if b"BT" in text)


@pytest.mark.parametrize("make", [to_html, to_pdf])
def test_a_document_without_blocks_still_says_what_it_is_for(make: object) -> None:
    assert make(document())  # type: ignore[operator]


def test_the_sentence_on_the_use_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="begins with"):
        document(use="For everything.")
    assert "Also not for teaching." in to_html(document(use=f"{NOT_FOR_DIAGNOSIS} Also not for teaching."))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Table(("a", "b"), (("1",),)), "1 cells, the table 2"),
        (lambda: Table(("a", "b"), (), widths=(1.0,)), "1 widths for 2"),
        (lambda: Figure(b"GIF89a", "", ""), "PNG"),
        (lambda: Figure(picture(), "", "", width_mm=300), "180 mm"),
        (lambda: Heading("x", 1), "level 2 or 3"),
    ],
)
def test_blocks_refuse_what_cannot_be_written(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    "png",
    [
        lambda: line_chart([Series("a", X, X**2, X**2 - 0.1, X**2 + 0.1)], x_label="x", y_label="y", diagonal=True),
        lambda: scatter_chart([Series("a", X, X), Series("b", X, 1 - X)], x_label="x", y_label="y"),
        lambda: bar_chart(["one"], np.array([0.5]), x_label="share", low=np.array([0.6]), high=np.array([0.7])),
        lambda: heat_table(np.array([[0.1, np.nan], [0.9, 1.0]]), rows=["a", "b"], columns=["c", "d"], label="kappa"),
    ],
    ids=["line", "scatter", "bar", "heat"],
)
def test_figures_are_pictures_with_something_on_them(png: object) -> None:
    found = png()  # type: ignore[operator]
    assert png() == found  # type: ignore[operator]
    with Image.open(io.BytesIO(found)) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_the_threshold_stands_where_it_belongs() -> None:
    def columns_that_change(at: float) -> int:
        plain, marked = (
            np.asarray(
                Image.open(
                    io.BytesIO(
                        line_chart([Series("a", X, X)], x_label="x", y_label="y", x_range=(0, 1), vertical=vertical)
                    )
                ).convert("L"),
                np.int32,
            )
            for vertical in (None, at)
        )
        return int(np.median(np.nonzero(np.abs(plain - marked).sum(0))[0]))

    assert columns_that_change(0.2) < columns_that_change(0.5) < columns_that_change(0.8)
