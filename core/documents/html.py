"""A document as one HTML file without anything from elsewhere, laid out for screen and for printing on A4."""

from __future__ import annotations

import base64
from html import escape

from core.documents.content import Block, Document, Facts, Figure, Heading, PageBreak, Paragraph, Table

_STYLE = """
:root { color-scheme: light; }
body { font: 10.5pt/1.45 "DejaVu Sans", "Segoe UI", Arial, sans-serif; color: #111; background: #fff;
       margin: 2em auto; max-width: 180mm; padding: 0 1em; }
h1 { font-size: 1.6em; margin: 0 0 .2em; } h2 { font-size: 1.2em; margin: 1.6em 0 .4em; } h3 { font-size: 1em; }
.subtitle { color: #444; margin: 0 0 .8em; }
.use { font-weight: bold; border: 1px solid #888; padding: .4em .7em; }
table { border-collapse: collapse; width: 100%; margin: .5em 0; }
caption { text-align: left; color: #444; caption-side: bottom; padding-top: .3em; font-size: .9em; }
th, td { border: 1px solid #aaa; padding: .25em .5em; text-align: left; vertical-align: top; }
th { background: #eee; } .number { text-align: right; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1em; } dt { color: #444; } dd { margin: 0; }
dd { overflow-wrap: anywhere; }
figure { margin: .8em 0; break-inside: avoid; } figure img { max-width: 100%; }
figcaption { color: #444; font-size: .9em; }
footer { margin-top: 2em; border-top: 1px solid #888; color: #444; font-size: .85em; }
.page-break { break-after: page; }
@page { size: A4; margin: 15mm; }
@media print { body { margin: 0; padding: 0; max-width: none; } h2, h3 { break-after: avoid; }
               tr { break-inside: avoid; } thead { display: table-header-group; } }
"""


def to_html(document: Document) -> str:
    """Return the document as one HTML file; pictures are inside it."""
    title = escape(document.title)
    subtitle = f'<p class="subtitle">{escape(document.subtitle)}</p>\n' if document.subtitle else ""
    foot = " &middot; ".join(escape(text) for text in (document.use, document.made_by) if text)
    body = "\n".join(_block(block) for block in document.blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{subtitle}"
        f'<p class="use">{escape(document.use)}</p>\n{body}\n<footer>{foot}</footer>\n</body>\n</html>\n'
    )


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text, strong):
            return f"<p><strong>{escape(text)}</strong></p>" if strong else f"<p>{escape(text)}</p>"
        case Facts(rows):
            lines = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in rows)
            return f"<dl>{lines}</dl>"
        case Table():
            return _table(block)
        case Figure(png, caption, alt, width_mm):
            source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
            picture = f'<img src="{source}" alt="{escape(alt)}" style="width:{width_mm:g}mm">'
            return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
        case PageBreak():
            return '<div class="page-break"></div>'


def _table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        sided = (' class="number"' if index in table.number_columns else "" for index in range(len(row)))
        return "".join(f"<{tag}{side}>{escape(text)}</{tag}>" for side, text in zip(sided, row, strict=True))

    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    return f"<table>{caption}<thead><tr>{cells(table.columns, 'th')}</tr></thead>\n<tbody>{body}</tbody></table>"
