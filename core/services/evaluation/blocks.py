"""The sections of an evaluation's report: curves, matrices, calibration, subgroups, tiles, robustness."""

from __future__ import annotations

import numpy as np

from core.documents import Block, Facts, Figure, Heading, Paragraph, Table
from core.documents.figures import Series, line_chart
from core.evaluation.calibration import Calibration
from core.evaluation.classes import ClassTable
from core.evaluation.operating import Operating
from core.evaluation.subgroups import Subgroup
from core.services.evaluation.robustness import RobustnessSummary
from core.services.evaluation.text import FIGURES, UNITS, number, share_words, size_words, with_interval
from core.services.evaluation.values import EvaluationResult, ReaderPoint, TileResult

_UNIT = (0.0, 1.02)


def curves(result: EvaluationResult) -> list[Block]:
    """Return the curves with the readers as points, or why there are none."""
    if not result.both_classes:
        return [Paragraph("The reference has units of one kind only, so there is no curve to draw.")]
    curve = result.operating.thinned()
    roc = line_chart(
        [Series(result.request.model, curve.false_positive_rate, curve.sensitivity)],
        x_label="1 - specificity",
        y_label="Sensitivity",
        x_range=(0, 1),
        y_range=_UNIT,
        diagonal=True,
        points=[_reader(reader) for reader in result.readers if _is_point(reader)],
    )
    recall = line_chart(
        [Series(result.request.model, curve.sensitivity[1:], curve.precision[1:])],
        x_label="Recall (sensitivity)",
        y_label="Precision",
        x_range=(0, 1),
        y_range=_UNIT,
    )
    size = size_words(result)
    readers = " Markers: readers, on the cases that both have." if result.readers else ""
    return [
        Heading("Curves"),
        Figure(roc, f"ROC. {size}.{readers}", "ROC curve", 110),
        Figure(recall, f"Precision and recall. {size}.", "Precision-recall curve", 110),
        *_readers(result.readers),
    ]


def _is_point(reader: ReaderPoint) -> bool:
    return reader.sensitivity.value is not None and reader.specificity.value is not None


def _reader(reader: ReaderPoint) -> Series:
    x, y = 1 - (reader.specificity.value or 0.0), reader.sensitivity.value or 0.0
    return Series(reader.reader, np.array([x]), np.array([y]))


def _readers(readers: tuple[ReaderPoint, ...]) -> list[Block]:
    if not readers:
        return []
    rows = tuple(
        (one.reader, str(one.n), share_words(one.sensitivity), share_words(one.specificity)) for one in readers
    )
    return [Table(("Reader", "Cases", "Sensitivity", "Specificity"), rows, number_columns=frozenset({1}))]


def at_threshold(result: EvaluationResult) -> list[Block]:
    """Return what calling from the card's threshold on does."""
    at = result.at
    rows = tuple((FIGURES[name], with_interval(value)) for name, value in at.estimates.items())
    return [
        Heading(f"At the threshold {at.threshold:.3f}"),
        *_matrix(at.table),
        Table(("Figure", "Value (95 % interval over patients)"), rows),
        Paragraph(f"Called: {at.called} of {len(result.units)} {UNITS[result.unit]} ({at.flag_rate:.0%})."),
    ]


def _matrix(table: ClassTable) -> list[Block]:
    rows = tuple(
        (f"Reference: {name}", *(str(count) for count in counts))
        for name, counts in zip(table.names, table.matrix, strict=True)
    )
    columns = ("", *(f"Called {name}" for name in table.names))
    classes = tuple(
        (
            row.name,
            *(str(count) for count in (row.n, row.called)),
            *(number(value) for value in (row.accuracy, row.precision, row.recall, row.f1, row.specificity, row.npv)),
        )
        for row in table.rows
    )
    heads = ("Class", "n", "Called", "Accuracy", "Precision", "Recall", "F1", "Specificity", "NPV")
    return [
        Table(columns, rows, number_columns=frozenset(range(1, len(columns)))),
        Table(heads, classes, number_columns=frozenset(range(1, 9))),
    ]


def baselines_and_rules(result: EvaluationResult) -> list[Block]:
    """Return the model beside what asks for no understanding, and beside other aggregations."""
    rows = [("This model", with_interval(result.auc.estimate), *_counts(result.at.table))]
    rows += [(one.name, with_interval(one.auc), *_counts(one.table)) for one in result.baselines]
    found: list[Block] = [
        Heading("Baselines"),
        Table(
            ("Who", "AUC (95 % interval)", "TP", "FN", "FP", "TN"),
            tuple(rows),
            caption="Baselines are called at the threshold that suits them best on these very units.",
            number_columns=frozenset({2, 3, 4, 5}),
        ),
    ]
    if result.rules:
        rules = tuple((row.name.replace("_", " "), with_interval(row.auc.estimate)) for row in result.rules)
        found += [Heading("Aggregations of the same tiles"), Table(("Rule", "AUC (95 % interval)"), rules)]
    return found


def _counts(table: ClassTable) -> tuple[str, str, str, str]:
    (passed, alarms), (missed, hits) = table.matrix
    return str(hits), str(missed), str(alarms), str(passed)


def calibration(title: str, found: Calibration) -> list[Block]:
    """Return whether probabilities mean what they say; nothing without a unit."""
    if not found.bins:
        return []
    low, high, stated, seen = (
        np.array([getattr(one, name) for one in found.bins])
        for name in ("frequency_low", "frequency_high", "mean_probability", "frequency")
    )
    chart = line_chart(
        [Series("found", stated, seen, low, high)],
        x_label="Stated probability",
        y_label="Frequency found",
        x_range=(0, 1),
        y_range=(0, 1),
        diagonal=True,
    )
    words = f"ECE {number(found.ece)}, Brier {number(found.brier)}, n = {found.n}. On the diagonal a probability means "
    return [Heading(title), Figure(chart, f"{words}what it says.", "Calibration plot", 100)]


def subgroups(result: EvaluationResult) -> list[Block]:
    """Return one line a subgroup, its counts beside its figures."""
    if not result.at.subgroups:
        return []
    heads = ("By", "Group", "Patients", "n", "TP", "FN", "FP", "TN", "Sensitivity", "Specificity", "AUC")
    rows = tuple(_subgroup(one) for one in result.at.subgroups)
    return [Heading("Subgroups"), Table(heads, rows, number_columns=frozenset(range(2, 8)))]


def _subgroup(one: Subgroup) -> tuple[str, ...]:
    counts = one.counts
    return (
        one.by,
        one.name,
        str(one.n_groups),
        str(one.n),
        *(
            f"{round(count)}"
            for count in (counts.true_positive, counts.false_negative, counts.false_positive, counts.true_negative)
        ),
        share_words(one.sensitivity),
        share_words(one.specificity),
        with_interval(one.auc.estimate, 2),
    )


def tiles(found: TileResult | None) -> list[Block]:
    """Return how tiles compare with outlines, or why they cannot be."""
    if found is None:
        return [Heading("Tiles"), Paragraph("No outlines lie beside these slides, so tiles cannot be judged.")]
    size = f"{found.n_cases} patients, {found.n_slides} slides, {found.n_tiles:,} tiles, {found.n_positive:,} positive"
    return [
        Heading("Tiles"),
        Facts(
            (
                ("Compared", size),
                ("AUC", f"{with_interval(found.auc.estimate)}; {found.auc.method}"),
                ("Darkness alone", number(found.darkness_auc)),
                ("Average precision", number(found.average_precision)),
                ("Threshold", number(found.threshold)),
            )
        ),
        *_roc_of_tiles(found.operating, size),
        *_matrix(found.table),
        *calibration("Calibration of tiles", found.calibration),
    ]


def _roc_of_tiles(curve: Operating, size: str) -> list[Block]:
    if not curve.positives or not curve.negatives:
        return []
    chart = line_chart(
        [Series("tiles", curve.false_positive_rate, curve.sensitivity)],
        x_label="1 - specificity",
        y_label="Sensitivity",
        x_range=(0, 1),
        y_range=_UNIT,
        diagonal=True,
    )
    return [Figure(chart, f"ROC of tiles. {size}.", "ROC curve of tiles", 100)]


def robustness(summary: RobustnessSummary | None) -> list[Block]:
    """Return how answers move when pictures change, or that this was not measured."""
    heading = Heading("Robustness")
    if summary is None or not summary.rows:
        return [heading, Paragraph("How the answers move when the pictures change was not measured.")]
    rows = tuple(
        (
            row.words,
            str(row.n_slides),
            f"{row.n_tiles:,}",
            f"{row.mean_change:.3f}",
            f"{row.tile_flips:.1%}",
            f"{row.mean_slide_change:.3f}",
            str(row.slide_flips),
        )
        for row in summary.rows
    )
    heads = (
        "Change",
        "Slides",
        "Tiles",
        "Mean change, tiles",
        "Tiles that flip",
        "Mean change, slides",
        "Slides that flip",
    )
    caption = (
        f"{summary.version}; up to {summary.sample} tiles a slide. {len(summary.missing)} slides are not measured yet."
    )
    return [heading, Table(heads, rows, caption=caption, number_columns=frozenset(range(1, 7)))]
