"""Conformal prediction from tables: calibrate on one, test on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.interop.csv_table import read_csv
from core.interop.scores_csv import match_labels, read_labelled_scores
from core.uncertainty.conformal import (
    Calibration,
    Method,
    SetCounts,
    calibrate,
    count_sets,
    prediction_sets,
    size_warnings,
)


@dataclass(frozen=True, slots=True)
class ConformalReport:
    """A calibration and what its sets are worth on test cases."""

    calibration: Calibration
    counts: SetCounts
    alpha: float
    method: str
    mapping: Mapping[str, str]
    """Label -> its score column."""
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return what `--json` prints."""
        counts, names = self.counts, self.calibration.classes
        return {
            "n": counts.n,
            "single": counts.single,
            "single_wrong": counts.single_wrong,
            "multiple": counts.multiple,
            "empty": counts.empty,
            "point_errors": counts.point_errors,
            "coverage": counts.coverage,
            "coverage_by_class": dict(zip(names, counts.coverage_by_class, strict=True)),
            "alpha": self.alpha,
            "method": self.method,
            "classes": dict(self.mapping),
            "calibration_cases": dict(zip(names, self.calibration.counts, strict=True)),
            "warnings": list(self.warnings),
        }


def conformal_report(
    calibration: Path,
    test: Path,
    *,
    label: str,
    scores: Sequence[str],
    classes: Sequence[str] | None = None,
    alpha: float,
    method: str = Method.VALID,
) -> ConformalReport:
    """Calibrate on one CSV and test on another.

    Args:
        calibration: One row a case, with its label and probabilities.
        test: The same columns; the two tables share no case.
        label: Column of the true label.
        scores: Columns of the probabilities, one a class.
        classes: Labels in the order of `scores`; None = found out, or refused where in doubt.
        alpha: Error rate that is accepted in each class.
        method: "valid" or "plain".

    Raises:
        InputError: a file, column, cell, label or alpha cannot be used; the sentence says which and what to do.
    """
    known, unseen = read_csv(calibration), read_csv(test)
    for table in (known, unseen):
        for column in scores:
            # A misspelt column is named as such, before its name is taken for a class.
            table.position(column)
    values = (*known.column(label), *unseen.column(label))
    meanings = match_labels(values, label=label, scores=scores, classes=classes)
    fitted = read_labelled_scores(known, label=label, scores=scores, meanings=meanings)
    tested = read_labelled_scores(unseen, label=label, scores=scores, meanings=meanings)
    model = calibrate(fitted.probabilities, fitted.labels, classes=scores)
    sets = prediction_sets(model, tested.probabilities, alpha=alpha, method=Method(method))
    return ConformalReport(
        calibration=model,
        counts=count_sets(sets, tested.probabilities, tested.labels),
        alpha=alpha,
        method=method,
        mapping={value: scores[index] for value, index in meanings.items()},
        warnings=size_warnings(model, alpha=alpha),
    )
