"""The quality of a slide as a report to print or keep: what was found, what it means, who judged it, and by what."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.documents import Block, Document, Facts, Figure, Heading, Paragraph, Table, to_html, to_pdf
from core.errors import NotFoundError
from core.qc.classes import FACTS, ArtefactClass
from core.qc.report import QcReport
from core.roles import Permission
from core.services.people.authority import require_now
from core.services.quality.references import ReferenceKind, references
from core.services.quality.table import QualityRow, SlideQuality, quality_row
from core.services.quality.verdicts import slide_verdicts
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.quality_records import QcVerdictRecord
from core.store.quality_results import provenance_of
from core.store.records import Json

__all__ = ["qc_document", "qc_report_html", "qc_report_pdf"]

THUMBNAIL = "thumbnail.jpg"
OVERLAY = "qc_overlay.png"
"""Pictures of a measurement; the overlay lies on the thumbnail."""
LEGEND_PX = 22
"""Height of a line of the legend below the picture."""
_STAINS = {"he": "H&E", "ihc": "immunohistochemistry"}


def qc_report_html(settings: Settings, slide_id: str, *, actor: str) -> str:
    """Return the quality report of a slide as one self-contained HTML page; see `qc_document`."""
    return to_html(qc_document(settings, slide_id, actor=actor))


def qc_report_pdf(settings: Settings, slide_id: str, *, actor: str) -> bytes:
    """Return the quality report of a slide as PDF; see `qc_document`."""
    return to_pdf(qc_document(settings, slide_id, actor=actor))


def qc_document(settings: Settings, slide_id: str, *, actor: str) -> Document:
    """Return the quality report of a slide. Label and macro images are never in it.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        actor: Who takes it out; verdicts that are hidden from this person are not in it.

    Raises:
        NotAllowedError: the actor may not export.
        InputError: there is no such slide.
        NotFoundError: its quality has not been measured with artefact classes.
    """
    require_now(settings, actor, Permission.EXPORT)
    row = quality_row(settings, slide_id, actor=actor)
    report, quality = row.report, row.entry.quality
    if report is None or quality is None:
        raise NotFoundError(
            f"The quality of {slide_id} has not been measured by artefact class. Measure it, then retry."
        )
    with open_log(settings) as database, reading(database):
        provenance = provenance_of(database, quality)
    blocks: list[Block] = [
        _summary(row, report, quality),
        *_picture(settings, quality, report),
        Heading("What was found"),
        _classes(report),
        Paragraph(f"Score {report.score:.3f}: {report.formula}"),
        *_warnings(report),
        Heading("Verdicts"),
        *_verdicts(settings, slide_id, actor=actor),
        *_references(settings, slide_id, actor=actor),
        Heading("Stain"),
        *_stain(report),
        *_disagreements(report),
        Heading("How this was measured"),
        _provenance(report, quality, provenance),
    ]
    made = f"Second Read {version('second-read')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, for {actor}"
    return Document(f"Quality of {slide_id}", tuple(blocks), subtitle="Quality control", made_by=made)


def _summary(row: QualityRow, report: QcReport, quality: SlideQuality) -> Facts:
    entry = row.entry
    disposition = quality.disposition
    because = " ".join(
        [
            *([quality.reason.value] if quality.reason else []),
            *([f"({quality.origin.value})"] if quality.origin else []),
        ]
    )
    # The sentence was made under the limits of the report; others may count by now.
    sentence = report.explanation if quality.limits_version == report.limits else ""
    suggested = _words(disposition.value) if disposition else "none"
    return Facts(
        (
            ("Case", entry.case_id),
            ("Stain, scanner, site", f"{entry.stain.value}, {entry.scanner or '-'}, {entry.site or '-'}"),
            ("Suggested", f"{suggested}{f': {_words(because)}' if because else ''}"),
            *((("Because", sentence),) if sentence else ()),
            ("Usable", f"{report.usable_mm2:.2f} of {report.tissue_mm2:.2f} mm2 tissue ({report.usable_fraction:.1%})"),
            ("Score", f"{report.score:.3f} (0 nothing usable, 1 no artefact found)"),
            ("Sections", str(report.sections)),
        )
    )


def _picture(settings: Settings, quality: SlideQuality, report: QcReport) -> list[Block]:
    if quality.results_dir is None:
        return []
    shown = [kind for kind, area in report.artefacts() if area.mm2 > 0]
    picture = _overlaid(settings.home / quality.results_dir)
    if picture is None:
        return [Paragraph("The pictures of this measurement are gone. Measure the slide again to restore them.")]
    content = io.BytesIO()
    _with_legend(picture, shown).save(content, "PNG")
    names = ", ".join(FACTS[kind].title.lower() for kind in shown) or "no artefact"
    alt = f"Thumbnail of the slide; coloured on it: {names}."
    return [Figure(content.getvalue(), "The slide with its artefacts.", alt, 140.0)]


def _overlaid(folder: Path) -> Image.Image | None:
    """Return the thumbnail under the artefacts, or None where a picture is gone."""
    try:
        with Image.open(folder / THUMBNAIL) as image, Image.open(folder / OVERLAY) as overlay:
            plain = image.convert("RGB")
            laid = overlay.convert("RGBA").resize(plain.size, Image.Resampling.NEAREST)
    except OSError:
        return None
    plain.paste(laid, mask=laid)
    return plain


def _with_legend(picture: Image.Image, shown: Sequence[ArtefactClass]) -> Image.Image:
    """Return the picture above a line for every artefact on it: its colour and its name."""
    whole = Image.new("RGB", (picture.width, picture.height + LEGEND_PX * len(shown)), "white")
    whole.paste(picture)
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(size=LEGEND_PX * 0.7)
    for place, kind in enumerate(shown):
        top = picture.height + LEGEND_PX * place
        pen.rectangle((2, top + 3, LEGEND_PX - 2, top + LEGEND_PX - 3), fill=FACTS[kind].colour)
        pen.text((LEGEND_PX + 6, top + 2), FACTS[kind].title, fill="black", font=font)
    return whole


def _classes(report: QcReport) -> Table:
    rows = tuple(
        (
            FACTS[kind].title,
            f"{report.classes[kind.value].mm2:.3f}",
            f"{report.classes[kind.value].fraction_of_tissue:.2%}",
            "-" if kind is ArtefactClass.CLEAN else FACTS[kind].origin.value,
            "-" if kind is ArtefactClass.CLEAN else "no" if FACTS[kind].unusable else "yes, with a limitation",
        )
        for kind in ArtefactClass
    )
    return Table(
        ("Class", "mm2", "Share of tissue", "Origin", "Usable"),
        rows,
        caption="A point of tissue counts in one class.",
        number_columns=frozenset({1, 2}),
    )


def _warnings(report: QcReport) -> list[Block]:
    return [Paragraph(warning, strong=True) for warning in report.warnings]


def _verdicts(settings: Settings, slide_id: str, *, actor: str) -> list[Block]:
    seen = slide_verdicts(settings, slide_id, actor=actor)
    blocks: list[Block] = [Paragraph(seen.because, strong=True)] if seen.because else []
    if not seen.history:
        return blocks or [Paragraph("No verdict has been given yet.")]
    standing = {one.verdict_id for one in seen.standing}
    rows = tuple(_verdict_row(one, stands=one.verdict_id in standing) for one in seen.history)
    columns = ("When (UTC)", "Reader", "Verdict", "Reason", "Note", "Suggested then", "Stands")
    return [*blocks, Table(columns, rows, caption="In the order they were given; nothing is overwritten.")]


def _verdict_row(one: QcVerdictRecord, *, stands: bool) -> tuple[str, ...]:
    blinded = ", blinded" if one.blinded_to_first else ""
    reason = f"{_words(one.reason.value)} ({one.origin.value})" if one.reason and one.origin else "-"
    suggested = f"{_words(one.suggested.value)} by {one.limits_version}" if one.suggested else "-"
    return (
        f"{one.created_at:%Y-%m-%d %H:%M}",
        f"{one.reader} ({one.role.value}{blinded})",
        _words(one.disposition.value) if one.disposition else "taken back",
        reason,
        one.note or "-",
        suggested,
        "yes" if stands else "no",
    )


def _references(settings: Settings, slide_id: str, *, actor: str) -> list[Block]:
    found = references(settings, slide_id, actor=actor)
    if not found:
        return []
    rows: list[tuple[str, ...]] = []
    for one in found:
        compared = one.figures.get("any") if one.figures and one.kind is not ReferenceKind.HISTOQC else None
        figures: Sequence[str] = [_figure(compared, name) for name in ("dice", "tpr", "tnr", "npv")]
        usable = "-" if one.usable is None else "yes" if one.usable else "no"
        score = "-" if one.human_score is None else f"{one.human_score} of 5"
        rows.append((one.name, one.kind.value, *figures, usable, score))
    columns = ("Reference", "Kind", "Dice", "TPR", "TNR", "NPV", "Usable", "Score by a person")
    caption = "Any artefact that the reference tells apart, on tissue, as compared when it came in."
    return [Heading("References", 3), Table(columns, tuple(rows), caption=caption)]


def _figure(compared: object, name: str) -> str:
    value = compared.get(name) if isinstance(compared, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return f"{value:.3f}" if isinstance(value, int | float) else "-"


def _stain(report: QcReport) -> list[Block]:
    stain = report.stain
    seen = f"Looks like {_STAINS[stain.kind]}" if stain.kind in _STAINS else "The kind of stain cannot be told"
    words = f"{seen}; vectors by {stain.method.capitalize()}"
    if stain.angle_degrees is not None:
        words += f", {stain.angle_degrees:.1f} degrees apart"
    rows = tuple(
        (name, *(f"{value:.3f}" for value in vector), f"{amount:.3f}")
        for name, vector, amount in zip(stain.names, stain.vectors, stain.concentrations, strict=False)
    )
    table = Table(("Dye", "R", "G", "B", "Amount, OD"), rows, number_columns=frozenset({1, 2, 3, 4}))
    return [Paragraph(f"{words}."), *([table] if rows else [])]


def _disagreements(report: QcReport) -> list[Block]:
    rows = tuple(
        (
            ArtefactClass(part.name).about.title,
            f"{part.both_mm2:.3f}",
            f"{part.network_only_mm2:.3f}",
            f"{part.detector_only_mm2:.3f}",
        )
        for part in report.disagreements
    )
    if not rows:
        return []
    table = Table(("Class", "Both, mm2", "Network only", "Detector only"), rows, number_columns=frozenset({1, 2, 3}))
    return [Heading("Where network and detectors differ", 3), table]


def _provenance(report: QcReport, quality: SlideQuality, provenance: Json) -> Facts:
    # The weights of an analysis are those of its model; the artefact network's stand in the report's own words.
    own = quality.source_id.startswith("measurement:") and bool(provenance["weights_sha256"])
    weights = (("Weights, SHA-256", str(provenance["weights_sha256"])),) if own else ()
    scale = f"{provenance['mpp_x']} x {provenance['mpp_y']} um/px ({provenance['mpp_source']})"
    return Facts(
        (
            ("Measured", f"{quality.measured_at:%Y-%m-%d %H:%M} UTC ({quality.source_id})"),
            ("Method", f"{report.version}, map of {report.um_per_px:g} um per pixel"),
            ("Network", report.network or "none; detectors alone"),
            *weights,
            ("Scale of the slide", scale),
            ("Limits", f"{quality.limits_version} now; {report.limits} when it was measured"),
            ("Program", str(provenance["code_version"])),
        )
    )


def _words(code: str) -> str:
    return code.replace("_", " ")
