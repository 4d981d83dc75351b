"""Figures of an evaluation in words and tables: a value with its interval, matrices, classes, subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from core.domain import Stain
from core.evaluation.classes import ClassTable
from core.evaluation.delong import AucEstimate
from core.evaluation.intervals import Estimate
from core.evaluation.subgroups import Subgroup
from core.services.evaluation.text import FIGURES, share_words, with_interval
from core.services.evaluation.values import Baseline, EvaluationResult, ReaderPoint, RuleRow
from pages.parts.common.badges import STAINS, in_words


def matrix_frame(table: ClassTable) -> pd.DataFrame:
    """Return the confusion matrix: truth down, calls across."""
    frame = pd.DataFrame(
        table.matrix,
        index=pd.Index([f"Reference: {name}" for name in table.names], name=""),
        columns=[f"Called {name}" for name in table.names],
    )
    frame["Sum"] = frame.sum(axis=1)
    return frame


def class_frame(table: ClassTable) -> pd.DataFrame:
    """Return every class against the rest."""
    return pd.DataFrame(
        [
            {
                "Class": row.name,
                "n": row.n,
                "Called": row.called,
                "Accuracy": row.accuracy,
                "Precision": row.precision,
                "Recall": row.recall,
                "F1": row.f1,
                "Specificity": row.specificity,
                "NPV": row.npv,
            }
            for row in table.rows
        ]
    )


def estimates_frame(estimates: Mapping[str, Estimate]) -> pd.DataFrame:
    """Return the figures at the threshold with their intervals over patients."""
    return pd.DataFrame(
        [{"Figure": FIGURES[name], "Value (95 % interval)": with_interval(of)} for name, of in estimates.items()]
    )


def rules_frame(rules: Sequence[RuleRow]) -> pd.DataFrame:
    """Return the area under the ROC curve of every rule."""
    return pd.DataFrame(
        [{"Rule": in_words(row.name), "AUC (95 % interval)": with_interval(row.auc.estimate)} for row in rules]
    )


def subgroup_frame(groups: Sequence[Subgroup]) -> pd.DataFrame:
    """Return one line a subgroup, its confusion matrix beside its figures."""
    return pd.DataFrame(
        [
            {
                "By": in_words(one.by),
                "Group": STAINS[Stain(one.name)] if one.by == "stain" else one.name,
                "Patients": one.n_groups,
                "n": one.n,
                "With target": one.n_positive,
                "TP": round(one.counts.true_positive),
                "FN": round(one.counts.false_negative),
                "FP": round(one.counts.false_positive),
                "TN": round(one.counts.true_negative),
                "Sensitivity": share_words(one.sensitivity),
                "Specificity": share_words(one.specificity),
                "AUC (95 % interval)": auc_words(one.auc),
            }
            for one in groups
        ]
    )


def auc_words(found: AucEstimate) -> str:
    """Return an area with its interval, or why it is not defined."""
    return with_interval(found.estimate)


def baseline_frame(result: EvaluationResult) -> pd.DataFrame:
    """Return the model above the baselines."""
    rows = [_line("This model", result.auc.estimate, result.at.table)]
    return pd.DataFrame([*rows, *(_baseline(one) for one in result.baselines)])


def readers_frame(readers: Sequence[ReaderPoint]) -> pd.DataFrame:
    """Return one line a reader."""
    return pd.DataFrame(
        [
            {
                "Reader": one.reader,
                "Cases": one.n,
                "Sensitivity": share_words(one.sensitivity),
                "Specificity": share_words(one.specificity),
            }
            for one in readers
        ]
    )


def reasons_frame(reasons: Mapping[str, str], *, what: str) -> pd.DataFrame:
    """Return what was left out, with the reason."""
    return pd.DataFrame([{what: name, "Why": why} for name, why in reasons.items()])


def _baseline(one: Baseline) -> dict[str, object]:
    return _line(in_words(one.name), one.auc, one.table)


def _line(name: str, auc: Estimate, table: ClassTable) -> dict[str, object]:
    (passed, alarms), (missed, hits) = table.matrix
    return {
        "Who": name,
        "AUC (95 % interval)": with_interval(auc),
        "Accuracy": table.accuracy,
        "Balanced accuracy": table.balanced_accuracy,
        "TP": hits,
        "FN": missed,
        "FP": alarms,
        "TN": passed,
    }
