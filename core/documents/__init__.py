"""Printable documents: one content, written as self-contained HTML or as PDF, with figures drawn for paper.

A service builds a `Document` out of blocks; `to_html` and `to_pdf` show the same content. Nothing in either file comes
from elsewhere, so both can be kept, mailed and opened years later without a network.
"""

from core.documents.content import Block, Document, Facts, Figure, Heading, PageBreak, Paragraph, Table
from core.documents.html import to_html


def to_pdf(document: Document) -> bytes:
    """Return the document as the bytes of a PDF file."""
    # Imported late: it brings fonts and matplotlib, for which no page should wait that only offers the file.
    from core.documents.pdf import write_pdf

    return write_pdf(document)


__all__ = [
    "Block",
    "Document",
    "Facts",
    "Figure",
    "Heading",
    "PageBreak",
    "Paragraph",
    "Table",
    "to_html",
    "to_pdf",
]
