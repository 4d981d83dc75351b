"""A report as a CSV table and as one printable HTML file without anything from elsewhere."""

from __future__ import annotations

import csv
import io
from html import escape

from core.domain import NOT_FOR_DIAGNOSIS
from core.services.reports import Measure, Report

_COLUMNS = ("measure", "value", "unit", "low_95", "high_95", "count", "n", "meaning", "detail", "literature")

_STYLE = """
body { font: 11pt/1.4 sans-serif; margin: 2em; color: #111; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: .35em .6em; text-align: left; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; }
p.use { font-weight: bold; }
@media print { body { margin: 0; } tr { break-inside: avoid; } }
"""


def report_csv(report: Report) -> str:
    """Return the report as CSV: a row a measure, then what it is of and what it may be used for."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for one in report.measures:
        table.writerow(
            [
                one.name,
                *(_plain(one.value), one.unit, _plain(one.low), _plain(one.high)),
                "" if one.count is None else one.count,
                *(one.n, one.meaning, one.detail, one.literature),
            ]
        )
    table.writerow([])
    table.writerow(["period", report.period.words])
    table.writerow(["note", NOT_FOR_DIAGNOSIS])
    return text.getvalue()


def report_html(report: Report, *, department: str = "") -> str:
    """Return the report as one HTML file for printing.

    Args:
        report: What to show.
        department: Name in the heading, as the user wrote it.
    """
    title = f"Second opinions: {department}" if department else "Second opinions"
    rows = "\n".join(_row(one) for one in report.measures)
    hidden = (
        f"<p>{report.hidden} cases are left out: a blinded opinion on them is awaited from the person who asked.</p>"
        if report.hidden
        else ""
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p class="use">{escape(NOT_FOR_DIAGNOSIS)}</p>
<p>Period: {escape(report.period.words)}. Made {report.made_at:%Y-%m-%d %H:%M} UTC by {escape(report.made_by)}.</p>
{hidden}
<table>
<thead><tr><th>Measure</th><th>Value</th><th>95 % interval</th><th>n</th><th>Literature</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def _row(one: Measure) -> str:
    of = str(one.n) if one.count is None else f"{one.count} of {one.n}"
    detail = f"<br>{escape(one.detail)}" if one.detail else ""
    interval = "" if one.low is None or one.high is None else f"{one.low:.1f} to {one.high:.1f}"
    value = "none yet" if one.value is None else f"{one.value:.1f} {one.unit}"
    return (
        f"<tr><td><b>{escape(one.title)}</b><br>{escape(one.meaning)}{detail}</td>"
        f'<td class="number">{escape(value)}</td><td class="number">{escape(interval)}</td>'
        f'<td class="number">{escape(of)}</td><td>{escape(one.literature)}</td></tr>'
    )


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
