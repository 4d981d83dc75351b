"""`second-read qc`: quality control of slide files, without a home folder and without a log."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.commands.options import device_option, mpp_option, settings_for, stain_option
from core.domain import SlideStatus, Stain
from core.errors import MissingMppError, UnreadableSlideError

if TYPE_CHECKING:
    from core.services.quality.measure import QcResult
    from core.settings import Settings

SOME_WITHOUT_RESULT = 3
"""Exit code if at least one slide is not ok."""
NO_TISSUE = "No tissue was found on the slide: it is empty, or all of it is glass, ink or dust."
LEAST_MM2 = 0.0005
"""mm2 of tissue, the area of a few cells, below which nothing can be said about a slide."""


@click.command("qc")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@mpp_option
@stain_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each slide.")
@click.option(
    "--mask",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT.png",
    help="Write the class map of the one slide: a palette PNG of class numbers, 255 where there is neither tissue nor "
    "artefact, at the scale that the JSON gives as um_per_px.",
)
@device_option
def command(
    paths: tuple[Path, ...], *, mpp: float | None, stain: str, as_json: bool, mask: Path | None, device: str | None
) -> None:
    """Measure the quality of slides: what is wrong where, how much tissue is usable, and what to do.

    Exit code 0 if every slide is ok, 3 if some have no result, 2 if the input cannot be used.
    """
    from core.services.quality.standalone import slide_files

    files = slide_files(paths)
    if mask is not None and len(files) != 1:
        raise click.UsageError(f"--mask takes the map of one slide, and there are {len(files)}.")
    if mask is not None and not mask.parent.is_dir():
        raise click.BadParameter(
            f"{mask.parent} is no folder, so {mask.name} cannot be written there", param_hint="--mask"
        )
    settings = settings_for(None, device=device)
    reports = [_measured(settings, path, mpp=mpp, stain=Stain(stain), mask=mask, as_json=as_json) for path in files]
    if any(status is not SlideStatus.OK for status in reports):
        sys.exit(SOME_WITHOUT_RESULT)


def _measured(
    settings: Settings, path: Path, *, mpp: float | None, stain: Stain, mask: Path | None, as_json: bool
) -> SlideStatus:
    from core.services.analysis.outcomes import status_of
    from core.services.quality.standalone import measure_file, save_map

    started = time.monotonic()
    result, status, message = None, SlideStatus.OK, ""
    try:
        result = measure_file(settings, path, mpp=mpp, stain=stain)
    except (UnreadableSlideError, MissingMppError) as err:
        status, message = status_of(err), str(err)
    if result is not None and result.report.tissue_mm2 < LEAST_MM2:
        status, message = SlideStatus.NO_TISSUE, _too_little(result.report.tissue_mm2)
    if result is not None and mask is not None:
        save_map(result, mask)
    seconds = round(time.monotonic() - started, 3)
    entry = report(path, result, status=status, message=message, seconds=seconds)
    click.echo(json.dumps(entry) if as_json else sentence(path, result, status=status, message=message))
    return status


def _too_little(tissue_mm2: float) -> str:
    if tissue_mm2 <= 0:
        return NO_TISSUE
    return f"{tissue_mm2:.2g} mm2 of tissue is too little to judge. Check the scale, or take a larger picture."


def report(
    path: Path, result: QcResult | None, *, status: SlideStatus, message: str, seconds: float
) -> dict[str, object]:
    """Return what `--json` prints for one slide; without a result the values are null."""
    from core.services.quality.standalone import slide_name

    found = {} if result is None else result.report.to_dict()
    names = (
        *("tissue_mm2", "usable_mm2", "usable_fraction", "score", "disposition", "reason", "origin", "explanation"),
        *("classes", "stain", "sections", "disagreements", "measures", "warnings", "um_per_px", "network", "formula"),
        *("limits", "version"),
    )
    shape = None if result is None else list(reversed(result.map.labels.shape))
    return {
        "slide_id": slide_name(path),
        "path": str(path),
        "status": status.value,
        "message": message,
        **{name: found.get(name) for name in names},
        "mask_size": shape,
        "seconds": seconds,
    }


def sentence(path: Path, result: QcResult | None, *, status: SlideStatus, message: str) -> str:
    """Return one line a person can read about one slide."""
    if result is None or status is not SlideStatus.OK:
        return f"{path.name}: {status.value.replace('_', ' ')}. {message}"
    found = result.report
    worst = ", ".join(
        f"{kind.about.title.lower()} {area.mm2:.3g} mm2 ({area.fraction_of_tissue:.1%})"
        for kind, area in found.artefacts()
        if area.fraction_of_tissue >= 0.001
    )
    return (
        f"{path.name}: {found.disposition.value.replace('_', ' ')}, score {found.score:.2f}; "
        f"{found.usable_mm2:.3g} of {found.tissue_mm2:.3g} mm2 tissue usable; {worst or 'no artefact found'}. "
        f"{found.explanation}"
    )
