"""One page about a case for a tumour board: what was read, what the model says, how good the slides are, what is open.

It holds what the person who asks for it may see, and says what is left out.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
from PIL import Image

from core.documents import Block, Document, Facts, Figure, Heading, Paragraph, Table
from core.errors import NotFoundError
from core.roles import Permission
from core.services.analysis.run_files import RunFolder
from core.services.cases.worklist import CaseDetail, case_detail
from core.services.consultations.lists import CaseConsult, case_consult
from core.services.people.authority import require_now
from core.settings import Settings
from core.store.records import RunRecord, SlideRecord

_GAP_PX = 16
_PICTURE_MM = 165.0
MOST_READS = 6
"""Rows of the table of reads, the latest ones, so that the page stays one."""


def case_document(settings: Settings, case_id: str, *, actor: str) -> Document:
    """Return the summary of a case.

    Args:
        settings: Names the home folder.
        case_id: Which case.
        actor: Who takes it out; nothing that is hidden from this person is in it.

    Raises:
        NotAllowedError: the actor may not export.
        NotFoundError: there is no such case.
    """
    require_now(settings, actor, Permission.EXPORT)
    detail = case_detail(settings, case_id, actor=actor)
    consult = case_consult(settings, case_id, actor=actor)
    blocks: list[Block] = [_facts(detail, consult)]
    if not detail.case.revealed:
        blocks.append(Paragraph(detail.visibility.because or "The model's result is hidden.", strong=True))
    blocks += _picture(settings, detail)
    blocks += [_slides(detail), *_reads(detail), *_flags(detail), *_opinions(consult)]
    made = f"Second Read {version('second-read')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, for {actor}"
    return Document(f"Case {case_id}", tuple(blocks), subtitle="Summary for a tumour board", made_by=made)


def _facts(detail: CaseDetail, consult: CaseConsult) -> Facts:
    row = detail.case
    model = "hidden" if not row.revealed else row.model_label or "no call"
    score = "" if row.model_score is None else f", score {row.model_score:.2f}"
    return Facts(
        (
            ("State", consult.status.value.replace("_", " ")),
            ("Diagnosis", row.diagnosis.value if row.diagnosis is not None else "not read, or hidden"),
            ("Model", f"{model}{score}"),
            ("Carried by", row.carried_by or "-"),
            ("Slides", f"{row.slides}; {row.without_result or 'all have a result'}"),
        )
    )


def _picture(settings: Settings, detail: CaseDetail) -> list[Block]:
    """Return the slide that carries the case, plain and with its heatmap; only plain while the result is hidden."""
    slide = _main_slide(detail)
    run = None if slide is None else detail.runs.get(slide.slide_id)
    if slide is None or run is None:
        return []
    folder = RunFolder.of(settings, slide.slide_id, run.run_id)
    try:
        plain = Image.fromarray(folder.read_image("thumbnail.jpg")).convert("RGB")
        panels = [plain]
        if detail.case.revealed and run.scores:
            heat = (
                Image.fromarray(folder.read_image("heatmap.png"))
                .convert("RGBA")
                .resize(plain.size, Image.Resampling.NEAREST)
            )
            panels.append(Image.alpha_composite(plain.convert("RGBA"), heat).convert("RGB"))
    except NotFoundError as err:
        return [Paragraph(str(err))]
    caption = f"Slide {slide.slide_id}" + (
        f"; right: the probability that {run.model} gives each tile, pale 0 to dark red 1." if len(panels) > 1 else "."
    )
    width_mm = _PICTURE_MM if len(panels) > 1 else _PICTURE_MM / 2
    return [Figure(_side_by_side(panels), caption, f"Overview of slide {slide.slide_id}", width_mm)]


def _main_slide(detail: CaseDetail) -> SlideRecord | None:
    def score(slide: SlideRecord) -> float:
        run = detail.runs.get(slide.slide_id)
        return -1.0 if run is None or run.decision_score is None else run.decision_score

    drawn = [slide for slide in detail.slides if slide.slide_id in detail.runs]
    # While the result is hidden, the order of the slides must not tell which of them the model finds suspicious.
    return max(drawn, key=score if detail.case.revealed else lambda _: 0.0, default=None)


def _side_by_side(panels: Iterable[Image.Image]) -> bytes:
    pictures = [np.asarray(panel) for panel in panels]
    gap = np.full((pictures[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    buffer = io.BytesIO()
    # A palette of 256 colours is enough for an overview and a quarter of the size.
    Image.fromarray(np.concatenate(parts, axis=1)).quantize(256).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _slides(detail: CaseDetail) -> Table:
    rows = tuple(_slide_row(slide, detail.runs.get(slide.slide_id), detail) for slide in detail.slides)
    return Table(
        ("Slide", "Stain", "um/px", "Tissue mm²", "Quality", "Model score", "Threshold", "State"),
        rows,
        caption="Quality: 0 nothing usable, 1 no artefact found. A score is no diagnosis.",
        number_columns=frozenset({2, 3, 4, 5, 6}),
    )


def _slide_row(slide: SlideRecord, run: RunRecord | None, detail: CaseDetail) -> tuple[str, ...]:
    quality = detail.qc.get(slide.slide_id, {}).get("score")
    score = None if run is None or not detail.case.revealed else run.decision_score
    return (
        slide.slide_id,
        slide.stain.value.upper(),
        _number(None if run is None else run.mpp_x, 3),
        _number(None if run is None else run.tissue_mm2, 1),
        _number(quality if isinstance(quality, float | int) else None, 2),
        _number(score, 2),
        _number(None if run is None or score is None else run.threshold, 2),
        "not analysed" if run is None else run.status.value.replace("_", " "),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _reads(detail: CaseDetail) -> list[Block]:
    if not detail.diagnoses:
        return [Paragraph("No read that you may see is recorded.")]
    rows = tuple(
        (
            f"{read.created_at:%Y-%m-%d}",
            read.reader,
            read.role.value,
            " ".join(part for part in (read.category.value, read.grade or "") if part),
            "-" if read.confidence is None else f"{read.confidence} of 5",
            read.stage.value.replace("_", " "),
        )
        for read in detail.diagnoses[-MOST_READS:]
    )
    left_out = len(detail.diagnoses) - len(rows)
    caption = f"{left_out} earlier reads are left out here." if left_out else ""
    return [
        Heading("Reads", 3),
        Table(("Date", "Reader", "As", "Diagnosis", "Confidence", "Model seen"), rows, caption=caption),
    ]


def _flags(detail: CaseDetail) -> list[Block]:
    if not detail.case.revealed or not detail.flags:
        return []
    return [
        Heading("Why a second look", 3),
        Table(("Flag", "Reason"), tuple((flag.kind.value.replace("_", " "), flag.reason) for flag in detail.flags)),
    ]


def _opinions(consult: CaseConsult) -> list[Block]:
    if consult.visibility.is_blinded or not (consult.opinions or consult.resolutions):
        return []
    facts = [
        (f"Opinion, {one.author}", " ".join(part for part in (one.read.category.value, one.read.text) if part))
        for one in consult.opinions
    ]
    if consult.resolutions:
        last = consult.resolutions[-1]
        facts.append(("Resolution", f"{last.method.value}, report: {last.report_action.value}".replace("_", " ")))
    return [Heading("Second opinion", 3), Facts(tuple(facts))]
