"""Agreement of the reads in a file: from a CSV to every statistic with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.agreement.continuous import NumberTable, continuous_estimates
from core.agreement.estimates import Estimate
from core.agreement.influence import PairedReads, model_influence
from core.agreement.report import AgreementReport, agreement_report, interval_words
from core.agreement.table import MISSING, ReadTable
from core.domain import ReadCategory
from core.errors import InputError
from core.interop.csv_table import CsvTable, read_csv
from core.interop.reads_csv import ParsedReads, ReadRow, parse
from core.interop.reads_layout import Layout
from core.schemes import INDETERMINATE
from core.services.agreement.read_tables import (
    AgreementRequest,
    are_numbers,
    category_table,
    number_table,
    single_reads,
)

_ERRORS_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class FileAgreement:
    """Agreement of the reads in one file; either categories or numbers."""

    file: str
    parsed: ParsedReads
    request: AgreementRequest
    categories: AgreementReport | None
    numbers: NumberTable | None
    overall: Mapping[str, Estimate]
    influence: Mapping[str, Estimate] | None
    """Effect of the model on reads, where the file has reads before and after it."""

    def to_dict(self) -> dict[str, object]:
        """Return what `--json` prints."""
        scheme = self.request.scheme
        about: dict[str, object] = {
            "file": self.file,
            "layout": self.parsed.layout.value,
            "scheme": scheme.name if scheme else None,
            "n_reads": len(self.parsed.rows),
            "n_indeterminate": sum(row.category == INDETERMINATE for row in self.parsed.rows),
            "columns_left_out": list(self.parsed.left_out),
        }
        if self.categories is not None:
            about |= self.categories.to_dict()
        elif self.numbers is not None:
            about |= {
                "n_cases": len(self.numbers.cases),
                "n_readers": len(self.numbers.readers),
                "n_missing": self.numbers.n_missing,
                "readers": list(self.numbers.readers),
                "categories": None,
                "overall": {name: value.to_dict() for name, value in self.overall.items()},
                "intervals": interval_words(self.request.bootstrap),
            }
        if self.influence is not None:
            about["influence_of_model"] = {name: value.to_dict() for name, value in self.influence.items()}
        return about


def agreement_of_file(path: Path, request: AgreementRequest) -> FileAgreement:
    """Compute the agreement of the readers in a CSV.

    Reads in few different words or whole numbers are categories; other numbers stay numbers unless there are bins.
    Where the file says which reads came after the model was shown, agreement is that of the reads before.

    Raises:
        InputError: the file, a column or a read cannot be used; the sentence names the first rows.
    """
    return agreement_of_table(read_csv(path), request)


def agreement_of_table(table: CsvTable, request: AgreementRequest) -> FileAgreement:
    """Compute the agreement of the readers in a table; see `agreement_of_file`."""
    parsed = parse(table, request.mapping, scheme=request.scheme)
    _refuse_errors(parsed, table.name)
    before, after = (
        single_reads([row for row in parsed.rows if row.after_model is later], request.duplicates)
        for later in (False, True)
    )
    counted = before or after
    _refuse_unknown(parsed, table.name, request)
    if are_numbers(counted, request) and not request.bins:
        numbers = number_table(parsed, counted)
        overall = continuous_estimates(numbers, bootstrap=request.bootstrap)
        return FileAgreement(table.name, parsed, request, None, numbers, overall, None)
    reads = category_table(parsed, counted, request)
    shown = reads.only([reader for reader in reads.readers if reader != request.reference])
    report = agreement_report(
        shown,
        model=request.mapping.model,
        positive_from=_cut(reads, request),
        confidence=_confidence(shown, counted),
        bootstrap=request.bootstrap,
    )
    influence = _influence(reads, category_table(parsed, after, request), request) if before and after else None
    return FileAgreement(table.name, parsed, request, report, None, report.overall, influence)


def _refuse_errors(parsed: ParsedReads, name: str) -> None:
    if parsed.errors:
        shown = " ".join(f"Row {e.row}, column {e.column}: {e.message}" for e in parsed.errors[:_ERRORS_SHOWN])
        repeated = parsed.layout is Layout.WIDE and any("already in row" in error.message for error in parsed.errors)
        hint = " If every row is one read, name the columns of the reader and of the result." if repeated else ""
        raise InputError(f"{len(parsed.errors)} reads of {name} cannot be used. {shown}{hint}")
    if not parsed.rows:
        raise InputError(f"{name} holds no read. Check which columns hold the readers' results.")


def _cut(table: ReadTable, request: AgreementRequest) -> int | None:
    """Return the first positive category: the one asked for, else where the scheme goes from benign to malignant."""
    if request.positive_from is not None:
        if request.positive_from not in table.categories[1:]:
            raise InputError(
                f"{request.positive_from!r} cannot be the first positive category. "
                f"Use one of {', '.join(table.categories[1:])}."
            )
        return table.categories.index(request.positive_from)
    if request.scheme is None:
        return None
    malignant = [category.read is ReadCategory.MALIGNANT for category in request.scheme.categories]
    first = malignant.index(True) if True in malignant else 0
    return first if first > 0 and all(malignant[first:]) else None


def _confidence(table: ReadTable, rows: Sequence[ReadRow]) -> NDArray[np.intp] | None:
    stated = [row for row in rows if row.confidence is not None]
    if not stated:
        return None
    case_at = {case: place for place, case in enumerate(table.cases)}
    reader_at = {reader: place for place, reader in enumerate(table.readers)}
    found = np.zeros(table.codes.shape, np.intp)
    for row in stated:
        found[case_at[row.case], reader_at[row.reader]] = row.confidence or 0
    return found


def _influence(before: ReadTable, after: ReadTable, request: AgreementRequest) -> Mapping[str, Estimate] | None:
    """Compare reads before and after the model, on cases for which its own read is in the file."""
    if request.mapping.model is None:
        return None
    places = {reader: place for place, reader in enumerate(before.readers)}
    model = before.codes[:, [places[request.mapping.model]]]
    known = (before.codes != MISSING) & (after.codes != MISSING) & (model != MISSING)
    known[:, [places[name] for name in (request.mapping.model, request.reference) if name in places]] = False
    case, reader = np.nonzero(known)
    reference = None if request.reference is None else before.codes[case, places[request.reference]]
    pairs = PairedReads(case, before.codes[case, reader], after.codes[case, reader], model[case, 0], reference)
    return model_influence(pairs, bootstrap=request.bootstrap)


def _refuse_unknown(parsed: ParsedReads, name: str, request: AgreementRequest) -> None:
    for reader in (request.mapping.model, request.reference):
        if reader is not None and reader not in parsed.readers:
            raise InputError(f"{name} has no reads of {reader!r}. Its readers are {', '.join(parsed.readers)}.")
