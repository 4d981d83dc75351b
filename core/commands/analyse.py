"""`second-read analyse`: analyse slides now, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from core.commands.options import (
    actor,
    batch_option,
    device_option,
    home_option,
    model_option,
    mpp_option,
    settings_for,
    stain_option,
    stride_option,
    tissue_option,
)
from core.domain import SlideStatus, Stain
from core.store.records import CLASSES_PRESENT, OVERRIDE, RunResult

SOME_WITHOUT_RESULT = 3
"""Exit code if at least one slide is not ok."""


@click.command("analyse")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each slide.")
@click.option("--case", "case_id", help="Case (a pseudonym) that all these slides belong to. [default: one per slide]")
@mpp_option
@stain_option
@tissue_option
@model_option
@click.option(
    "--even-if-unfit",
    "override_reason",
    metavar="REASON",
    help="Run the model also on slides it is not made for (stain, tissue, scale). The reason is kept in the log.",
)
@click.option(
    "--aggregator",
    "aggregators",
    multiple=True,
    help="Trained aggregator (name or path of its card) that scores every slide besides the rules; may be repeated.",
)
@click.option(
    "--decide-by",
    metavar="NAME[:THRESHOLD]",
    help="Rule or aggregator that decides, instead of the default rule. [default: top_k_mean]",
)
@device_option
@batch_option
@stride_option
@home_option
def command(
    paths: tuple[Path, ...],
    *,
    as_json: bool,
    case_id: str | None,
    mpp: float | None,
    stain: str,
    tissue: str | None,
    model: str | None,
    override_reason: str | None,
    aggregators: tuple[str, ...],
    decide_by: str | None,
    device: str | None,
    batch_size: int | None,
    stride_um: float | None,
    home: Path | None,
) -> None:
    """Analyse slides, folders of slides, or manifests (CSV) now, and keep the results in the log.

    Exit code 0 if every slide is ok, 3 if some have no result, 2 if the input cannot be used.
    """
    from core.services import catalogue
    from core.services.analysis import analyse
    from core.services.analysis.fit import Override, not_checked, override_words
    from core.services.viewing.display import aggregator_notes

    settings = settings_for(home, device=device, batch_size=batch_size, stride_um=stride_um)
    settings = replace(
        settings, aggregators=aggregators or settings.aggregators, decision=decide_by or settings.decision
    )
    who = actor()
    if override_reason is not None:
        Override(override_reason, who)  # refused before anything is added
    added = catalogue.add_paths(settings, paths, case_id=case_id, mpp=mpp, stain=Stain(stain), tissue=tissue, actor=who)
    for warning in added.warnings:
        click.echo(f"Warning: {warning}", err=True)
    results: list[RunResult] = []
    for slide_id in added.slide_ids:
        with _progress(slide_id) as advance:
            run = analyse.analyse_and_record(
                settings, slide_id, model_name=model, override_reason=override_reason, progress=advance, actor=who
            )
        results.append(run)
        # JSON carries them itself.
        for warning in () if as_json else (override_words(run), *not_checked(run), *aggregator_notes(run)):
            if warning:
                click.echo(f"Warning: {slide_id}: {warning}", err=True)
        click.echo(json.dumps(report(run)) if as_json else sentence(run))
    if any(run.status is not SlideStatus.OK for run in results):
        sys.exit(SOME_WITHOUT_RESULT)


def report(run: RunResult) -> dict[str, object]:
    """Return what `--json` prints for one slide."""
    from core.services.analysis.fit import not_checked
    from core.services.viewing.display import aggregator_notes

    mpp = None if run.mpp_x is None or run.mpp_y is None else round((run.mpp_x * run.mpp_y) ** 0.5, 6)
    return {
        "slide_id": run.slide_id,
        "status": run.status.value,
        "message": run.message,
        "mpp": mpp,
        "mpp_source": run.mpp_source.value if run.mpp_source else None,
        "tissue_mm2": run.tissue_mm2,
        "tiles_total": run.tiles_total,
        "tiles_kept": run.tiles_kept,
        "tiles_dropped": dict(run.tiles_dropped),
        "scores": {name: dict(classes) for name, classes in run.scores.items()},
        "label": run.label,
        "classes_present": run.settings.get(CLASSES_PRESENT),
        "qc_score": run.qc.get("score") if run.qc else None,
        "run_id": run.run_id,
        "seconds": round(run.seconds, 3),
        "tiles_per_second": run.tiles_per_second,
        "model": run.model,
        "weights_sha256": run.weights_sha256,
        "override": run.settings.get(OVERRIDE),
        "not_checked": list(not_checked(run)),
        "decision": {"by": run.decision_aggregation, "score": run.decision_score, "threshold": run.threshold},
        "aggregator_notes": list(aggregator_notes(run)),
        "device": run.device,
    }


def sentence(run: RunResult) -> str:
    """Return one line a person can read about one slide."""
    if run.status is not SlideStatus.OK:
        return f"{run.slide_id}: {run.status.value.replace('_', ' ')}. {run.message}"
    score = f"{run.decision_score:.2f} by {run.decision_aggregation}" if run.decision_score is not None else "no score"
    quality = run.qc.get("score") if run.qc else None
    quality_words = f", quality {quality:.2f}" if isinstance(quality, float) else ""
    return (
        f"{run.slide_id}: {run.label} ({score}, threshold {run.threshold:.2f}){quality_words}; "
        f"{run.tiles_kept} of {run.tiles_total} tiles, {run.tissue_mm2:.1f} mm2 tissue, {run.seconds:.1f} s "
        f"on {run.device}"
    )


class _Progress:
    """A bar on standard error while a person watches; silent in a pipe."""

    def __init__(self, slide_id: str) -> None:
        self._bar = None
        self._slide_id = slide_id

    def __enter__(self) -> Callable[[int, int], None] | None:
        return self._advance if sys.stderr.isatty() else None

    def _advance(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = click.progressbar(length=total, label=self._slide_id, file=sys.stderr)
        self._bar.update(done - self._bar.pos)

    def __exit__(self, *_exc_info: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()


def _progress(slide_id: str) -> _Progress:
    return _Progress(slide_id)
