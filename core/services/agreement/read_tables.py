"""From the reads of a file to the tables that the statistics take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from core.agreement.continuous import NumberTable
from core.agreement.estimates import Bootstrap
from core.agreement.table import ReadTable, table_of
from core.errors import InputError
from core.interop.reads_csv import ParsedReads, ReadRow
from core.interop.reads_layout import MOST_CATEGORIES, ReadsMapping, is_number
from core.schemes import INDETERMINATE, Scheme


class Duplicates(StrEnum):
    """What to do where a reader read a case more than once with different results."""

    REFUSE = "refuse"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class AgreementRequest:
    """What is asked of a file."""

    mapping: ReadsMapping
    scheme: Scheme | None = None
    categories: tuple[str, ...] | None = None
    """From least to most severe; None = the scheme's, else those that occur."""
    bins: tuple[float, ...] = ()
    """Edges that turn numbers into categories; empty = keep the numbers."""
    positive_from: str | None = None
    """First category that counts as positive."""
    reference: str | None = None
    """Reader who stands for the truth where the effect of the model on reads is measured."""
    duplicates: Duplicates = Duplicates.REFUSE
    bootstrap: Bootstrap = field(default_factory=Bootstrap)


def single_reads(rows: Sequence[ReadRow], duplicates: Duplicates) -> list[ReadRow]:
    """Return one read a reader and case.

    Raises:
        InputError: a reader read a case twice with different results, and it is not said which counts.
    """
    kept: dict[tuple[str, str], ReadRow] = {}
    for row in rows:
        earlier = kept.setdefault((row.case, row.reader), row)
        if earlier is row or earlier.category == row.category:
            continue
        if duplicates is Duplicates.REFUSE:
            raise InputError(
                f"{row.reader} read case {row.case} twice with different results (rows {earlier.row} and {row.row}). "
                "Say which counts with --duplicates first or last."
            )
        if duplicates is Duplicates.LAST:
            kept[row.case, row.reader] = row
    return list(kept.values())


def are_numbers(rows: Sequence[ReadRow], request: AgreementRequest) -> bool:
    """Say whether the reads are numbers rather than categories: some are no whole numbers, or they are too many.

    Raises:
        InputError: bins are asked for, but the reads are no numbers.
    """
    if request.scheme or request.categories:
        return False
    values = {row.category for row in rows if row.category != INDETERMINATE}
    if not all(is_number(value) for value in values):
        if request.bins:
            raise InputError("Bins need reads that are numbers.")
        return False
    whole = all(float(value).is_integer() for value in values)
    return bool(request.bins) or not whole or len(values) > MOST_CATEGORIES


def number_table(parsed: ParsedReads, rows: Sequence[ReadRow]) -> NumberTable:
    """Return the reads as numbers, all cases and readers of the file among them."""
    case_at = {case: place for place, case in enumerate(parsed.cases)}
    reader_at = {reader: place for place, reader in enumerate(parsed.readers)}
    numbers = np.full((len(case_at), len(reader_at)), np.nan)
    for row in rows:
        if row.category != INDETERMINATE:
            numbers[case_at[row.case], reader_at[row.reader]] = float(row.category)
    return NumberTable(parsed.cases, parsed.readers, numbers)


def category_table(parsed: ParsedReads, rows: Sequence[ReadRow], request: AgreementRequest) -> ReadTable:
    """Return the reads as categories, all cases and readers of the file among them.

    The categories are the bins, the scheme's, those asked for, or those that occur anywhere in the file: in order if
    they are whole numbers, else without order.

    Raises:
        InputError: a read is none of the categories asked for.
    """
    if request.bins:
        return number_table(parsed, rows).binned(request.bins)
    categories, values, ordinal = _categories(parsed, request)
    return table_of(
        (
            (row.case, row.reader, None if row.category == INDETERMINATE else _plain(row.category, values))
            for row in rows
        ),
        categories=categories,
        cases=parsed.cases,
        readers=parsed.readers,
        ordinal=ordinal,
        values=values,
    )


def _categories(
    parsed: ParsedReads, request: AgreementRequest
) -> tuple[tuple[str, ...], tuple[float, ...] | None, bool]:
    if request.scheme:
        return request.scheme.codes, None, True
    if request.categories:
        return request.categories, None, True
    occurring = {row.category for row in parsed.rows if row.category != INDETERMINATE}
    if all(is_number(value) for value in occurring):
        values = tuple(sorted({float(value) for value in occurring}))
        return tuple(f"{value:g}" for value in values), values, True
    return tuple(sorted(occurring)), None, False


def _plain(category: str, values: tuple[float, ...] | None) -> str:
    """Write a number in one way, so that "2" and "2.0" are one category."""
    return category if values is None else f"{float(category):g}"
