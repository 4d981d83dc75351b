"""`second-read evaluate`: how good a model is, on labelled patches or on the slides of the catalogue."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.commands import FullHelpGroup
from core.commands.options import actor, device_option, home_option, settings_for

if TYPE_CHECKING:  # they need torch or scikit-learn, which take seconds to import
    from core.evaluation.intervals import Estimate
    from core.services.evaluation.patches import PatchEvaluation
    from core.services.evaluation.values import EvaluationResult

SOME_LEFT_OUT = 3
"""Exit code if patches could not be read: the figures are those of the others."""


@click.group("evaluate", cls=FullHelpGroup)
def command() -> None:
    """Measure a model against labels: on patches, or on slides that were analysed."""


@command.command("patches")
@click.option("--model", default="idc", show_default=True, help="Name of the model card.")
@click.option(
    "--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of labelled patches."
)
@click.option(
    "--layout",
    type=click.Choice(["idc", "class_group", "class_folders"]),
    default="idc",
    show_default=True,
    help="idc: patient/label/file; class_group: class/group/file; class_folders: class/file.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with cards/ and weights/, such as the output of a training. [default: the shipped models]",
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def patches(*, model: str, data: Path, layout: str, root: Path | None, device: str | None, as_json: bool) -> None:
    """Measure a model on a folder of patches, with intervals over patients and two baselines beside it.

    Exit code 0; 3 if files could not be read and were left out; 2 if there is nothing to measure.
    """
    from core.services.evaluation.patches import evaluate_patches
    from models.cards import SHIPPED

    found = evaluate_patches(model, data, layout=layout, root=root or SHIPPED, device=device or "auto")
    for sentence in (*found.warnings, *found.unreadable):
        click.echo(f"Warning: {sentence}", err=True)
    click.echo(json.dumps(found.to_json()) if as_json else _of_patches(found))
    if found.unreadable:
        sys.exit(SOME_LEFT_OUT)


def _of_patches(found: PatchEvaluation) -> str:
    lines = [
        f"{found.model} on {found.n_patches} patches ({found.n_positive} positive) of {found.n_patients} patients, "
        f"called from {found.threshold:g} on"
    ]
    for name, estimate in found.estimates.items():
        words = name.replace("_", " ")
        if math.isnan(estimate.value):
            lines.append(f"  {words:18} undefined: {found.reason(name)}")
        else:
            lines.append(f"  {words:18} {_words(estimate)}")
    for name, estimate in found.classes.items():
        if not math.isnan(estimate.value):
            lines.append(f"  {name:28} {_words(estimate)}")
    for name, metrics in found.baselines.items():
        told = ", ".join(
            f"{metric.replace('_', ' ')} {value:.3f}" for metric, value in metrics.items() if not math.isnan(value)
        )
        lines.append(f"  beside it, {name.replace('_', ' ')}: {told}")
    return "\n".join(lines)


@command.command("slides")
@click.option(
    "--reference",
    required=True,
    help="truth (outlines beside the slides), reads or consensus (the log), reader:NAME, system:NAME (imported "
    "predictions), or a CSV with the columns slide_id and label.",
)
@click.option("--model", help="Name of the model card, or system:NAME. [default: idc]")
@click.option(
    "--by",
    "unit",
    type=click.Choice(["slide", "case"]),
    default="slide",
    show_default=True,
    help="What is counted once. A case is as suspicious as its most suspicious slide.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@home_option
def slides(*, reference: str, model: str | None, unit: str, as_json: bool, home: Path | None) -> None:
    """Measure how slides that were analysed are told apart, by every aggregation, with intervals over cases.

    The figures say how far model and reference agree; a pathologist's read is not the truth.
    """
    from core.services.evaluation.slides import evaluate_slides, to_json
    from core.services.evaluation.values import Unit

    found = evaluate_slides(settings_for(home), reference=reference, model_name=model, unit=Unit(unit), actor=actor())
    click.echo(json.dumps(to_json(found)) if as_json else _of_slides(found))


def _of_slides(found: EvaluationResult) -> str:
    from core.services.evaluation.slides import rule_figures, sentence_of

    (passed, alarms), (missed, hits) = found.at.table.matrix
    lines = [
        sentence_of(found),
        f"AUC {_words(found.auc.estimate)}, average precision {_words(found.average_precision)}",
        f"Called from {found.threshold:g} on, a threshold chosen for the default rule: {hits} hits, {missed} missed, "
        f"{alarms} false alarms, {passed} rightly passed.",
    ]
    lines += [
        f"  {name:14} AUC {_words(of['auc'])}, sensitivity {_words(of['sensitivity'])}, "
        f"specificity {_words(of['specificity'])}"
        for name, of in rule_figures(found).items()
    ]
    lines += [
        f"  beside it, {one.name}: AUC {_words(one.auc)}, balanced accuracy {one.table.balanced_accuracy:.3f}"
        for one in found.baselines
    ]
    if found.tiles is not None:
        tiles = found.tiles
        lines.append(
            f"  tiles          AUC {_words(tiles.auc.estimate)}, {tiles.n_positive} of {tiles.n_tiles} tiles of "
            f"{tiles.n_slides} slides show the target"
        )
    return "\n".join(lines)


def _words(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "undefined"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
