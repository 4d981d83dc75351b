"""Agreement as files: one CSV of every statistic with its interval, and one JSON of everything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping

from core.agreement.estimates import Estimate
from core.agreement.report import AgreementReport, PairAgreement
from core.domain import NOT_FOR_DIAGNOSIS

_COLUMNS = ("part", "who", "statistic", "value", "low_95", "high_95", "n_cases", "remark")


def agreement_csv(
    overall: Mapping[str, Estimate],
    report: AgreementReport | None,
    influence: Mapping[str, Estimate] | None,
    *,
    facts: Mapping[str, object],
) -> str:
    """Return every statistic as CSV, a row each, and below what they were computed from.

    Args:
        overall: All readers together.
        report: Everything else; None where the reads are numbers.
        influence: What the model does to reads; None where that is not known.
        facts: Name -> value of what stands below.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    cases = "" if report is None else len(report.table.cases)
    table.writerows(_row("overall", "all readers", name, value, cases) for name, value in overall.items())
    if report is not None:
        table.writerows(_of_report(report))
    for name, value in (influence or {}).items():
        table.writerow(_row("influence of the model", "all readers", name, value, ""))
    table.writerow([])
    for name, value in facts.items():
        table.writerow([name, value])
    table.writerow(["note", NOT_FOR_DIAGNOSIS])
    return text.getvalue()


def agreement_json(content: Mapping[str, object], *, facts: Mapping[str, object]) -> str:
    """Return everything as JSON: `content` is `AgreementReport.to_dict` or `FileAgreement.to_dict`."""
    return json.dumps({"note": NOT_FOR_DIAGNOSIS, **facts, **content}, indent=1, ensure_ascii=False)


def _of_report(report: AgreementReport) -> Iterator[list[object]]:
    cases = len(report.table.cases)
    for name, value in report.by_category.items():
        yield _row("category", name, "second_reader_agrees", value, cases)
    for pair in report.pairs:
        yield from _of_pair("pair", pair)
    for profile in report.profiles:
        yield _row("reader", profile.reader, "severity_drift", profile.drift, profile.reads)
        yield _row("reader", profile.reader, "distance", profile.distance, profile.reads)
        with_others = profile.consensus
        estimate = Estimate(with_others.value, with_others.low, with_others.high)
        yield _row("reader", profile.reader, "with_consensus_of_others", estimate, with_others.of)
    if report.model is not None:
        for pair in report.model.with_readers:
            yield from _of_pair("model and reader", pair)
        yield from _of_pair("model and consensus", report.model.with_consensus)


def _of_pair(part: str, pair: PairAgreement) -> Iterator[list[object]]:
    for name, value in pair.statistics.items():
        yield _row(part, f"{pair.first} and {pair.second}", name, value, pair.cases)


def _row(part: str, who: str, statistic: str, value: Estimate, cases: object) -> list[object]:
    return [
        part,
        _harmless(who),
        statistic,
        *("" if one is None else f"{one:.4f}" for one in (value.value, value.low, value.high)),
        cases,
        value.reason,
    ]


def _harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
