"""The comparison as Markdown, computed from stored predictions alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.evaluation.binary import (
    BoolArray,
    FloatArray,
    Metric,
    auc,
    average_precision,
    best_threshold,
    confusion,
    expected_calibration_error,
)
from core.evaluation.intervals import Estimate, with_intervals
from models.evaluation.stored import Cell, Patients, read_cell, read_patients

COSTS = (5, 13, 20)
"""What a missed positive costs in false alarms. From c = 12.86 on the order of the two models in the project's example
turns round, so 13 lies just beyond it."""
DRAWS = 300
MARKERS = ("<!-- comparison: begin -->", "<!-- comparison: end -->")
DARKNESS = "darkness"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    """`<network>-<balance>`."""
    estimates: Mapping[str, Estimate]
    """At the threshold of each fold's inner validation part."""
    plain: Mapping[str, float]
    """At a probability of 0.5, as the network is after training: accuracy, sensitivity and the costs."""
    cell: Cell | None

    @property
    def title(self) -> str:
        """Network and balance in words."""
        network, _, balance = self.name.partition("-")
        return f"{_NETWORKS.get(network, network)} | {_BALANCES.get(balance, balance)}"


_NETWORKS = {
    "alexnet": "AlexNet",
    "resnet18": "ResNet-18",
    "densenet121": "DenseNet-121",
    "lite0_frozen": "EfficientNet-Lite0, frozen, logistic regression",
    DARKNESS: "darkness alone",
}
_BALANCES = {
    "none": "none",
    "weighted": "weighted, c = 5",
    "undersample": "undersampled",
    "oversample": "oversampled",
    "share25": "25 % a batch",
    "share50": "50 % a batch",
    "share75": "75 % a batch",
    "": "",
}


def rows_of(folder: Path, names: Sequence[str], *, draws: int = DRAWS) -> tuple[list[Row], list[str]]:
    """Measure the cells that are stored, the darkness baseline first.

    Returns:
        The rows, and the names of the cells that were never computed.
    """
    patients = read_patients(folder)
    rows = [_darkness_row(patients, draws)]
    missing: list[str] = []
    for name in names:
        cell = read_cell(folder, name)
        if cell is None:
            missing.append(name)
        else:
            called = cell.probability >= np.array(cell.thresholds)[patients.fold]
            rows.append(_row(name, patients, cell.probability, called, cell, draws))
    return rows, missing


def markdown(rows: Sequence[Row], missing: Sequence[str]) -> str:
    """Return both tables, what is missing, and what the costs do to the order."""
    parts = [_main_table(rows), _cost_table(rows)]
    if missing:
        named = "; ".join(_plainly(Row(name, {}, {}, None)) for name in missing)
        parts.append(f"Not computed, and therefore not in the tables: {named}.")
    trained = [row for row in rows if row.cell is not None and not row.name.startswith("lite0")]
    if len(trained) > 1:
        parts += [_plain_table(trained), _lesson(trained)]
    return "\n\n".join(parts)


def replace_between(text: str, table: str, *, markers: tuple[str, str] = MARKERS) -> str:
    """Put the table between the markers of a text.

    Raises:
        ValueError: the text lacks the markers.
    """
    begin, end = markers
    if begin not in text or end not in text:
        raise ValueError(f"The text lacks the markers {begin} and {end}.")
    return f"{text.split(begin)[0]}{begin}\n{table}\n{end}{text.split(end)[1]}"


def _darkness_row(patients: Patients, draws: int) -> Row:
    called = np.zeros(len(patients.truth), bool)
    for fold in np.unique(patients.fold):
        inside = patients.fold == fold
        threshold = best_threshold(patients.truth[~inside], patients.darkness[~inside])
        called[inside] = patients.darkness[inside] >= threshold
    row = _row(DARKNESS, patients, patients.darkness, called, None, draws)
    return Row(row.name, {name: value for name, value in row.estimates.items() if name != "ece"}, {}, None)


def _row(name: str, patients: Patients, score: FloatArray, called: BoolArray, cell: Cell | None, draws: int) -> Row:
    scores = np.column_stack((score, called)).astype(np.float64)
    estimates = with_intervals(patients.truth, scores, patients.groups, metrics=METRICS, draws=draws)
    plain = confusion(patients.truth, score >= 0.5)
    at_half = {"accuracy": plain.accuracy, "sensitivity": plain.sensitivity}
    at_half |= {f"cost{c}": 100 * plain.cost(c) / len(score) for c in COSTS}
    return Row(name, estimates, at_half, cell)


def _of_calls(name: str) -> Metric:
    def metric(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        return float(getattr(confusion(truth, scores[:, 1] > 0, weight), name))

    return metric


def _of_score(function: Metric) -> Metric:
    return lambda truth, scores, weight=None: function(truth, scores[:, 0], weight)


def _cost(c: float) -> Metric:
    def metric(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        count = len(truth) if weight is None else float(weight.sum())
        return 100 * confusion(truth, scores[:, 1] > 0, weight).cost(c) / count

    return metric


METRICS: Mapping[str, Metric] = {
    **{name: _of_calls(name) for name in ("balanced_accuracy", "f1", "sensitivity", "specificity")},
    "auc": _of_score(auc),
    "auprc": _of_score(average_precision),
    "ece": _of_score(expected_calibration_error),
    **{f"cost{c}": _cost(c) for c in COSTS},
}
"""Of (N, 2) scores: probability and call. Costs are per 100 patches."""


def _main_table(rows: Sequence[Row]) -> str:
    names = ("balanced_accuracy", "f1", "sensitivity", "specificity", "auc", "auprc")
    lines = [
        "| network | class balance | balanced accuracy % | F1 % | sensitivity % | specificity % | AUC % | AUPRC % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [_text(row.estimates[name], factor=100, digits=1) for name in names]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cost_table(rows: Sequence[Row]) -> str:
    costs = " | ".join(f"cost, c = {c}" for c in COSTS)
    lines = [
        f"| network | class balance | ECE | {costs} | images/s | CPU ms/image |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [_text(row.estimates["ece"], factor=1, digits=3) if "ece" in row.estimates else ""]
        cells += [_text(row.estimates[f"cost{c}"], factor=1, digits=0 if c > 5 else 1) for c in COSTS]
        cell = row.cell
        speed = ("", "") if cell is None else (f"{cell.images_per_s:.0f}", f"{cell.cpu_ms_per_image:.1f}")
        lines.append(f"| {row.title} | {' | '.join((*cells, *speed))} |")
    return "\n".join(lines)


def _plain_table(rows: Sequence[Row]) -> str:
    """At 0.5, the strategies side by side: the ranks are what the reader should look at."""
    costs = " | ".join(f"cost, c = {c}" for c in COSTS)
    lines = [
        f"| called at 0.5 | class balance | accuracy % (rank) | sensitivity % | {costs} (rank) |",
        "|---|---|---|---|---|---|---|",
    ]
    accuracy = _ranks([-row.plain["accuracy"] for row in rows])
    last = _ranks([row.plain[f"cost{COSTS[-1]}"] for row in rows])
    for row, by_accuracy, by_cost in zip(rows, accuracy, last, strict=True):
        plain = row.plain
        cells = [f"{100 * plain['accuracy']:.1f} ({by_accuracy})", f"{100 * plain['sensitivity']:.1f}"]
        cells += [f"{plain[f'cost{c}']:.1f}" for c in COSTS[:-1]]
        cells.append(f"{plain[f'cost{COSTS[-1]}']:.1f} ({by_cost})")
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _lesson(rows: Sequence[Row]) -> str:
    accuracy = _ranks([-row.plain["accuracy"] for row in rows])
    sentences: list[str] = []
    best = rows[accuracy.index(1)]
    for c in COSTS:
        cost = _ranks([row.plain[f"cost{c}"] for row in rows])
        cheapest = rows[cost.index(1)]
        sentences.append(
            f"at c = {c} it costs {best.plain[f'cost{c}']:.0f} per 100 patches and is number "
            f"{cost[rows.index(best)]} of {len(rows)}, while {_plainly(cheapest)}, number "
            f"{accuracy[rows.index(cheapest)]} by accuracy, costs {cheapest.plain[f'cost{c}']:.0f}"
        )
    return (
        f"Called at 0.5, the most accurate is {_plainly(best)} with {100 * best.plain['accuracy']:.1f} %: "
        f"{'; '.join(sentences)}."
    )


def _plainly(row: Row) -> str:
    network, _, balance = row.title.partition(" | ")
    return f"{network} ({balance})"


def _ranks(values: Sequence[float]) -> list[int]:
    return [1 + sum(other < value for other in values) for value in values]


def _text(estimate: Estimate, *, factor: float, digits: int) -> str:
    if math.isnan(estimate.value):
        return ""
    value, low, high = (f"{factor * number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"
