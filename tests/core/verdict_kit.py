"""Slides with a quality measurement for the tests of verdicts, tables and cohorts; no image is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from people_kit import CLERK, enrol
from PIL import Image

from core.domain import Stain
from core.qc.classes import ARTEFACTS, ArtefactClass
from core.qc.limits import DEFAULT_LIMITS
from core.qc.report import ClassArea, QcReport, StainFacts
from core.roles import Role
from core.settings import Settings
from core.store import cases
from core.store.connection import Log, open_log, writing
from core.store.quality import insert_ask, insert_verdict
from core.store.quality_records import NewMeasurement, NewQcVerdict, NewReference, ReferenceKind
from core.store.quality_results import insert_reference, save_measurement
from core.store.records import SlideFacts, SlideRecord
from core.vocabulary import QcDisposition, QcOrigin, QcReason, QcRole

QC_PEOPLE = ("quentin", "quinn", "quirin")
"""Who judges quality in these tests."""


def people(settings: Settings) -> None:
    """Enrol three quality readers, a viewer and a pathologist."""
    enrol(settings, *QC_PEOPLE, roles=(Role.QC,))
    enrol(settings, "vic", roles=(Role.VIEWER,))
    enrol(settings, "paula", roles=(Role.PATHOLOGIST,))


def report_of(
    fractions: Mapping[str, float] | None = None,
    *,
    tissue_mm2: float = 10.0,
    limits: str = DEFAULT_LIMITS.version,
    disposition: QcDisposition = QcDisposition.ACCEPT,
    reason: QcReason | None = None,
    amounts: tuple[float, float] = (1.2, 0.8),
    measures: Mapping[str, float] | None = None,
) -> QcReport:
    """A report whose artefact classes have these shares of the tissue."""
    shares = {kind.value: (fractions or {}).get(kind.value, 0.0) for kind in ARTEFACTS}
    clean = 1.0 - sum(shares.values())
    lost = sum(shares[kind.value] for kind in ARTEFACTS if kind.about.unusable)
    weighted = sum(shares[kind.value] * kind.about.weight for kind in ARTEFACTS)
    return QcReport(
        score=1.0 - weighted,
        tissue_mm2=tissue_mm2,
        usable_mm2=(1.0 - lost) * tissue_mm2,
        usable_fraction=1.0 - lost,
        classes={
            name: ClassArea(share * tissue_mm2, share)
            for name, share in {ArtefactClass.CLEAN.value: clean, **shares}.items()
        },
        sections=1,
        disposition=disposition,
        reason=reason,
        origin=None if reason is None else QcOrigin.ACQUISITION,
        explanation="As told.",
        stain=StainFacts(
            "he", "macenko", ("haematoxylin", "eosin"), ((0.65, 0.7, 0.29), (0.07, 0.99, 0.11)), 40.0, amounts
        ),
        measures=measures or {},
        um_per_px=4.0,
        network="artefacts abcd",
        limits=limits,
    )


def measured(settings: Settings, name: str, *, report: QcReport | None = None, **about: str | None) -> str:
    """Add a slide and its measurement; return its id."""
    return measured_many(settings, {name: report or report_of()}, **about)[0]


def measured_many(
    settings: Settings, reports: Mapping[str, QcReport], *, added_at: datetime | None = None, **about: str | None
) -> tuple[str, ...]:
    """Add slides, each a case of its own, with their measurements; `about` goes into the slides: scanner, site."""
    with open_log(settings) as database, writing(database):
        for name, report in reports.items():
            cases.ensure_case(database, name, site=None, actor=CLERK)
            slide = SlideRecord(
                slide_id=name,
                case_id=name,
                path=f"/slides/{name}.svs",
                stain=Stain.HE,
                added_at=added_at or datetime.now(UTC),
                **about,
            )
            cases.insert_slide(database, slide, actor=CLERK)
            save_measurement(database, measurement_of(name, report))
    return tuple(reports)


def fill_quality(database: Log, slide_id: str) -> None:
    """Write a row into every table of quality, in an open write transaction."""
    save_measurement(database, measurement_of(slide_id, report_of()))
    new = NewQcVerdict(disposition=QcDisposition.ACCEPT)
    insert_verdict(database, slide_id, new, role=QcRole.FIRST, seen=None, actor="ann")
    insert_ask(database, slide_id, reader=None, reason="", seed=None, actor="ann")
    reference = NewReference(
        slide_id=slide_id,
        kind=ReferenceKind.ANNOTATION,
        name="ann",
        source="a.geojson",
        content_sha256="ab" * 32,
        metrics={},
        import_key=f"key of {slide_id}",
    )
    insert_reference(database, reference, actor="ann")


def measure_again(settings: Settings, slide_id: str, report: QcReport) -> int:
    """Write one more measurement of a slide."""
    with open_log(settings) as database, writing(database):
        return save_measurement(database, measurement_of(slide_id, report))


def measurement_of(slide_id: str, report: QcReport) -> NewMeasurement:
    """A measurement with every field set."""
    return NewMeasurement(
        slide_id=slide_id,
        report=report.to_dict(),
        limits_version=report.limits,
        weights_sha256="ab" * 32,
        mpp_x=0.5,
        mpp_y=0.5,
        mpp_source="openslide.mpp",
        code_version="0.1",
        seconds=1.0,
        results_dir=f"results/{slide_id}/qc",
    )


def save_map(settings: Settings, slide_id: str, labels: NDArray[np.uint8], *, tissue: NDArray[np.bool_]) -> None:
    """Write the files that a measurement leaves: class map, tissue, thumbnail and overlay; and the slide's size.

    A map pixel is ten level-0 pixels wide.
    """
    folder = settings.home / "results" / slide_id / "qc"
    folder.mkdir(parents=True, exist_ok=True)
    height, width = labels.shape
    Image.fromarray(labels).save(folder / "qc_map.png")
    Image.fromarray(tissue).save(folder / "qc_tissue.png")
    Image.fromarray(np.full((height, width, 3), 230, np.uint8)).save(folder / "thumbnail.jpg")
    overlay = np.zeros((height, width, 4), np.uint8)
    overlay[(labels > 0) & tissue] = (213, 94, 0, 255)
    Image.fromarray(overlay).save(folder / "qc_overlay.png")
    with open_log(settings) as database, writing(database):
        cases.save_facts(
            database, slide_id, SlideFacts(vendor="aperio", width=10 * width, height=10 * height, levels=3)
        )
