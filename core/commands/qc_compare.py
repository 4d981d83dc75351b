"""`second-read qc-compare`: the artefact map of a slide against what somebody annotated."""

from __future__ import annotations

import json
from pathlib import Path

import click

from core.commands import reads_options as options
from core.commands.options import actor, home_option, settings_for


@click.command("qc-compare")
@click.argument("slide_id", metavar="SLIDE")
@click.argument("reference", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--artefact", help="What a mask image marks, e.g. pen. [default: an artefact of any class]")
@click.option("--usable", is_flag=True, help="The mask image marks usable tissue, as HistoQC's mask_use does.")
@options.json_option
@home_option
def command(
    slide_id: str, reference: Path, *, artefact: str | None, usable: bool, as_json: bool, home: Path | None
) -> None:
    """Compare the artefact map of SLIDE with REFERENCE over tissue: accuracy, TPR, TNR, NPV, Dice and IoU.

    REFERENCE is GeoJSON as QuPath writes it, whose classes name the artefacts, or a mask image of two values. Nothing
    is kept.
    """
    from core.services.quality.comparison import artefact_of_name, compare_reference

    kind = None if artefact is None else artefact_of_name(artefact)
    meaning = "usable" if usable else "artefact"
    found = compare_reference(settings_for(home), slide_id, reference, artefact=kind, meaning=meaning, actor=actor())
    click.echo(json.dumps(found) if as_json else _sentences(found))


def _sentences(found: dict[str, object]) -> str:
    lines = ["                     accuracy   TPR     TNR     NPV     Dice    IoU"]
    parts = {"any artefact": found["any"], **_mapping(found["classes"]), "glass as well": found["whole_slide"]}
    for name, figures in parts.items():
        values = _mapping(figures)
        cells = (values.get(key) for key in ("accuracy", "tpr", "tnr", "npv", "dice", "iou"))
        lines.append(
            f"{name:20} " + " ".join(f"{value:7.3f}" if isinstance(value, float) else "      -" for value in cells)
        )
    lines.append("On tissue; the last line on glass as well. A dash stands where there is nothing to divide by.")
    return "\n".join(lines)


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
