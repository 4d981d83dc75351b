"""`second-read conformal`: prediction sets from one table, tested on another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.commands import reads_options as options

if TYPE_CHECKING:
    from core.services.calibration.conformal import ConformalReport


@click.command("conformal")
@click.option("--calibration", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--test", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--label", required=True, help="Column of the true label.")
@click.option("--scores", required=True, help="Columns of the model's probabilities, one a class, with commas.")
@click.option("--classes", help="Labels in the order of --scores; needed where the names leave a doubt.")
@click.option("--alpha", default=0.05, show_default=True, help="Error rate that is accepted in each class.")
@click.option(
    "--method",
    type=click.Choice(["valid", "plain"]),
    default="valid",
    show_default=True,
    help="valid counts (n + 1), whose error rate always holds; plain counts n, as Olsson et al. 2022 did.",
)
@options.json_option
def command(
    calibration: Path,
    test: Path,
    *,
    label: str,
    scores: str,
    classes: str | None,
    alpha: float,
    method: str,
    as_json: bool,
) -> None:
    """Calibrate class-conditional prediction sets on one CSV and test them on another.

    One label in a set = a report, several = undecided, none = unlike the calibration cases. Example: second-read
    conformal --calibration A.csv --test B.csv --label cx --scores pr_ben,pr_cx --alpha 0.001 --method plain
    """
    from core.services.calibration.conformal import conformal_report

    report = conformal_report(
        calibration,
        test,
        label=label,
        scores=options.words(scores),
        classes=options.words(classes) if classes is not None else None,
        alpha=alpha,
        method=method,
    )
    for warning in report.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(json.dumps(report.to_dict()) if as_json else _sentences(report))


def _sentences(report: ConformalReport) -> str:
    counts = report.counts
    meanings = ", ".join(f"{value} = {column}" for value, column in report.mapping.items())
    return (
        f"{counts.n} cases at {1 - report.alpha:.4g} confidence ({report.method} count; labels: {meanings})\n"
        f"  one label: {counts.single}, of which {counts.single_wrong} wrong\n"
        f"  undecided: {counts.multiple}\n"
        f"  unlike every class: {counts.empty}\n"
        f"  label covered: {counts.coverage:.2%}\n"
        f"  errors had the most probable label always been reported: {counts.point_errors}"
    )
