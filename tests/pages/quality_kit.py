"""Slides with a measured quality that nothing measured: reports, maps and pictures of known figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from people_kit import CLERK
from PIL import Image

from core.domain import SlideStatus, Stain
from core.qc.classes import CLASSES, NO_TISSUE, ArtefactClass
from core.qc.report import ClassArea, Disagreement, QcReport, StainFacts
from core.services.catalogue import SlideRequest, add_slides
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.quality_records import NewMeasurement
from core.store.quality_results import save_measurement
from core.store.records import RunResult, SlideFacts
from core.store.results import save_run
from core.vocabulary import QcDisposition

TISSUE_MM2 = 20.0
SCANNERS, SITES = ("Alpha", "Beta"), ("North", "South")
HE = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))


def report_of(shares: Mapping[str, float], *, disposition: QcDisposition = QcDisposition.ACCEPT) -> QcReport:
    """A report in which artefacts cover these shares of 20 mm² of tissue."""
    clean = 1 - sum(shares.values())
    fractions = {kind.value: shares.get(kind.value, 0.0) for kind in CLASSES} | {"clean": clean}
    usable = 1 - sum(share for name, share in shares.items() if ArtefactClass(name).about.unusable)
    worst = max(shares, key=lambda name: shares[name], default=None)
    accepted = disposition is QcDisposition.ACCEPT
    about = None if worst is None or accepted else ArtefactClass(worst).about
    return QcReport(
        score=1 - sum(share * ArtefactClass(name).about.weight for name, share in shares.items()),
        tissue_mm2=TISSUE_MM2,
        usable_mm2=TISSUE_MM2 * usable,
        usable_fraction=usable,
        classes={name: ClassArea(TISSUE_MM2 * share, share) for name, share in fractions.items()},
        sections=2,
        disposition=disposition,
        reason=about.reason if about else None,
        origin=about.origin if about else None,
        explanation=f"{usable:.0%} of the tissue is usable.",
        stain=StainFacts(
            kind="he",
            method="macenko",
            names=("haematoxylin", "eosin"),
            vectors=HE,
            angle_degrees=44.0,
            concentrations=(1.6, 0.9 + clean / 10),
        ),
        disagreements=tuple(
            Disagreement(name, share * TISSUE_MM2 * 0.7, share * TISSUE_MM2 * 0.2, share * TISSUE_MM2 * 0.1)
            for name, share in fractions.items()
        ),
        measures={"brightness": 0.61, "contrast": 0.12},
        warnings=("The scan is strongly compressed.",) if worst == "stain" else (),
        um_per_px=4.0,
        network="artefacts 0a1b2c",
    )


def measure(settings: Settings, slide_id: str, report: QcReport, *, labels: NDArray[np.uint8] | None = None) -> str:
    """Write a measurement as the job would, with its pictures; return the name of its folder."""
    folder = f"results/{slide_id}/qc-1"
    path = settings.home / folder
    path.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (210, 130), (230, 190, 215)).save(path / "thumbnail.jpg")
    found = labels_of(report) if labels is None else labels
    Image.fromarray(found).save(path / "qc_map.png")
    Image.fromarray((found != NO_TISSUE).astype(np.uint8) * 255).save(path / "qc_tissue.png")
    Image.fromarray(overlay_of(found)).save(path / "qc_overlay.png")
    new = NewMeasurement(
        slide_id=slide_id,
        report=report.to_dict(),
        limits_version=report.limits,
        weights_sha256="c" * 64,
        mpp_x=0.5,
        mpp_y=0.5,
        mpp_source="openslide.mpp",
        results_dir=folder,
    )
    with open_log(settings) as database, writing(database):
        save_measurement(database, new, actor=CLERK)
    return "qc-1"


def labels_of(report: QcReport) -> NDArray[np.uint8]:
    """A map whose rows are, from above, the classes by their share, with a margin of glass."""
    rows = [kind.code for kind in CLASSES for _ in range(round(60 * report.classes[kind.value].fraction_of_tissue))]
    labels = np.full((64, 100), NO_TISSUE, np.uint8)
    labels[2 : 2 + len(rows[:60]), 5:95] = np.array(rows[:60], np.uint8)[:, None]
    return labels


def overlay_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The artefacts of a map in their colours, clear elsewhere."""
    overlay = np.zeros((*labels.shape, 4), np.uint8)
    for kind in CLASSES[1:]:
        overlay[labels == kind.code] = (*kind.about.colour, 150)
    return overlay


COHORT: Mapping[str, tuple[Mapping[str, float], QcDisposition]] = {
    "S-01": ({}, QcDisposition.ACCEPT),
    "S-02": ({"fold": 0.04}, QcDisposition.ACCEPT),
    "S-03": ({"pen": 0.15, "fold": 0.02}, QcDisposition.ACCEPT_WITH_LIMITATION),
    "S-04": ({"out_of_focus": 0.45}, QcDisposition.RESCAN),
    "S-05": ({"stain": 0.6}, QcDisposition.RESTAIN),
    "S-06": ({"dark_spot_foreign": 0.01}, QcDisposition.ACCEPT),
}
"""Slide -> shares of tissue and what is suggested."""


def make_cohort(settings: Settings, folder: Path, *, stain: Stain = Stain.HE) -> None:
    """Six measured slides of two scanners and two sites, and one that is not measured: S-07."""
    folder.mkdir(parents=True, exist_ok=True)
    requests = []
    for place, name in enumerate((*COHORT, "S-07")):
        path = folder / f"{name}.svs"
        path.write_bytes(b"not looked at here: " + name.encode())
        case = f"C-{place // 2 + 1}"
        request = SlideRequest(path, case, None, stain, SITES[place % 2], SCANNERS[place // 3 % 2])
        requests.append(request)
    add_slides(settings, requests, actor=CLERK)
    for name, (shares, disposition) in COHORT.items():
        _read(settings, name)
        measure(settings, name, report_of(shares, disposition=disposition))


def _read(settings: Settings, slide_id: str) -> None:
    """Let a slide have been opened once: 16 level-0 px a pixel of the map."""
    facts = SlideFacts(width=1600, height=1024, levels=1)
    run = RunResult(
        run_id=f"run-{slide_id}",
        slide_id=slide_id,
        model="idc",
        status=SlideStatus.OK,
        created_at=datetime.now(UTC),
        facts=facts,
    )
    with open_log(settings) as database, writing(database):
        save_run(database, run)


def yesterday() -> str:
    """A day on which no slide of a test was added."""
    return f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
