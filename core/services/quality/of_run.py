"""Quality control as the first part of an analysis: measured under the limits that count, kept with the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.services.analysis.run_files import THUMBNAIL_PX, RunFolder
from core.services.quality.files import write_quality
from core.services.quality.limits import active_limits
from core.services.quality.measure import QcResult, measure_slide
from core.services.quality.network import artefact_network
from core.settings import Settings
from core.slides import SlideReader
from core.store.records import RunResult, SlideRecord


def measured_quality(
    settings: Settings,
    slide: SlideRecord,
    reader: SlideReader,
    folder: RunFolder,
    *,
    cancelled: Callable[[], bool] | None,
) -> QcResult:
    """Measure the quality of a slide and write its files into the run's folder.

    Raises:
        MissingMppError: the slide has no scale.
        UnreadableSlideError, StorageError, CancelledError: as the stages raise them.
    """
    result = measure_slide(
        settings,
        reader,
        stain=slide.stain,
        network=artefact_network(settings.device),
        limits=active_limits(settings),
        cancelled=cancelled,
    )
    write_quality(folder, result, max_px=THUMBNAIL_PX)
    return result


def with_quality(run: RunResult, quality: QcResult) -> RunResult:
    """Return the run with the report; a slide without tissue has no quality to speak of."""
    return replace(run, qc=quality.report.to_dict()) if quality.report.tissue_mm2 > 0 else run
