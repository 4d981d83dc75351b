"""Quality control of one open slide: read once, look with network and detectors, join, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.domain import Mpp, Region, Size, Stain
from core.errors import MissingMppError
from core.qc.artefact_map import ArtefactMap
from core.qc.compression import BLOCK_PX, blockiness
from core.qc.detectors.evidence import Evidence, find_artefacts
from core.qc.joining import join
from core.qc.limits import DEFAULT_LIMITS, QcLimits
from core.qc.network import NetworkSink
from core.qc.report import QcReport
from core.qc.slide_report import summarise
from core.qc.survey import COARSEST_UM_PER_PX, survey_scale, survey_slide
from core.services.quality.network import ArtefactNetwork
from core.settings import Settings, TissueSettings
from core.slides import SlideReader
from core.tissue import TissueMask, find_tissue

PROBE_PX = 32 * BLOCK_PX
"""Edge of a window in which compression is measured."""
PROBES = 6
MASK_SHARE = 1 / 192
"""Share of a crop's shorter side that a pixel of its tissue mask has at most."""
HOLE_SHARE = 1 / 50
"""Share of a crop that a hole has at most to be closed."""


@dataclass(frozen=True, slots=True, eq=False)
class QcResult:
    """What quality control found on one slide."""

    report: QcReport
    map: ArtefactMap
    evidence: Evidence


def measure_slide(
    settings: Settings,
    reader: SlideReader,
    *,
    stain: Stain = Stain.UNKNOWN,
    network: ArtefactNetwork,
    limits: QcLimits = DEFAULT_LIMITS,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> QcResult:
    """Measure the quality of an open slide.

    Args:
        settings: Threads, and how tissue is told from glass.
        reader: The slide.
        stain: What the slide is known to be stained with.
        network: That takes part; without a model it is left to the detectors alone.
        limits: By which the disposition is suggested.
        progress: Called with blocks done and blocks in all.
        cancelled: Asked before every block.

    Raises:
        MissingMppError: the slide has no scale.
        UnreadableSlideError: the file broke while being read.
        CancelledError: `cancelled` said so.
        ModelError: the model is no artefact network.
    """
    info = reader.info
    if info.mpp is None:
        raise MissingMppError(f"{info.path.name} states no micrometres per pixel. Give its scale with --mpp.")
    mask = find_tissue(reader, tissue_settings(settings.tissue, info.size, info.mpp))
    scale = survey_scale(info.size, info.mpp)
    fine_um = scale.um_per_px / scale.fine
    model = network.model if fine_um <= COARSEST_UM_PER_PX else None
    # Ink is looked at as well: tissue may lie beneath it, or have been taken for it.
    looked_at = mask if mask.ink is None else replace(mask, mask=mask.mask | mask.ink)
    sink = None if model is None else NetworkSink(model, looked_at, scale)
    survey = survey_slide(
        reader,
        looked_at,
        scale,
        sink=sink,
        threads=settings.read_threads,
        progress=progress,
        cancelled=cancelled,
    )
    known = None if stain is Stain.UNKNOWN else stain
    evidence = find_artefacts(survey, mask, stain=None if known is None else known.value)
    found = join(evidence, None if sink is None else sink.field(), scale)
    report = summarise(
        found,
        evidence,
        survey,
        blockiness=_compression(reader, mask),
        network=network.label if model is not None else "",
        limits=limits,
        warnings=_notes(evidence, known, network, fine_um=fine_um),
    )
    return QcResult(report, found, evidence)


def tissue_settings(tissue: TissueSettings, size: Size, mpp: Mpp) -> TissueSettings:
    """Return settings that also see tissue on a crop far smaller than a slide: finer, with smaller holes."""
    width_um, height_um = size.width * mpp.x, size.height * mpp.y
    finest = max(mpp.x, mpp.y)
    return replace(
        tissue,
        mpp=max(finest, min(tissue.mpp, min(width_um, height_um) * MASK_SHARE)),
        max_hole_um2=min(tissue.max_hole_um2, width_um * height_um * HOLE_SHARE),
    )


def _notes(evidence: Evidence, known: Stain | None, network: ArtefactNetwork, *, fine_um: float) -> tuple[str, ...]:
    found: list[str] = [network.missing] if network.missing else []
    if network.model is not None and fine_um > COARSEST_UM_PER_PX:
        found.append(
            f"The image has {fine_um:.1f} um/px, coarser than the {COARSEST_UM_PER_PX:g} that the artefact network "
            "knows: the detectors judged alone, and focus was not judged."
        )
    seen = evidence.stain.kind
    if known is not None and seen not in ("unknown", known.value):
        names = {"he": "H&E", "ihc": "immunohistochemistry"}
        found.append(f"The slide is listed as {names[known.value]}, but its colours look like {names[seen]}.")
    return tuple(found)


def _compression(reader: SlideReader, mask: TissueMask) -> float:
    """Median blockiness of a few windows of tissue, in level-0 pixels; NaN where none can be told."""
    values = [blockiness(_grey(reader, x, y)) for x, y in _probes(reader.info.size, mask)]
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def _probes(size: Size, mask: TissueMask) -> list[tuple[int, int]]:
    """Corners of windows in the deepest tissue of as many equal parts of the tissue."""
    rows, columns = np.nonzero(mask.mask)
    if not len(rows):
        return []
    chosen = np.linspace(0, len(rows) - 1, PROBES).astype(int)
    half = PROBE_PX // 2
    x = np.clip(columns[chosen] * mask.downsample[0] - half, 0, max(0, size.width - PROBE_PX))
    y = np.clip(rows[chosen] * mask.downsample[1] - half, 0, max(0, size.height - PROBE_PX))
    return [(int(left), int(top)) for left, top in zip(x, y, strict=True)]


def _grey(reader: SlideReader, x: int, y: int) -> NDArray[np.float32]:
    size = reader.info.size
    window = Region(x, y, min(PROBE_PX, size.width - x), min(PROBE_PX, size.height - y))
    return reader.read(window, Size(window.width, window.height)).mean(-1, dtype=np.float32)
