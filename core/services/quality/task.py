"""What the worker does for a job of kind qc: measure the quality of one slide, whether or not a model ever reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from core.services import catalogue
from core.services.analysis.run_files import THUMBNAIL_PX, RunFolder
from core.services.quality.files import write_quality
from core.services.quality.limits import active_limits
from core.services.quality.measure import measure_slide
from core.services.quality.network import artefact_network
from core.settings import Settings
from core.slides import open_slide
from core.store.connection import open_log
from core.store.quality_records import NewMeasurement
from core.store.quality_results import save_measurement
from core.store.records import Json, SlideFacts


def run(
    settings: Settings,
    slide_id: str,
    payload: Json,  # noqa: ARG001 - every task takes one; the limits that count are read when the job begins
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> str:
    """Measure a slide and keep the result; begun again after a kill, it measures again and keeps one row.

    Returns:
        A sentence for the list of jobs.

    Raises:
        NotFoundError, UnreadableSlideError, MissingMppError, StorageError, CancelledError: as the stages raise them.
    """
    started = time.monotonic()
    slide = catalogue.get_slide(settings, slide_id)
    limits, network = active_limits(settings), artefact_network(settings.device)
    folder = RunFolder.of(settings, slide_id, f"qc-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:6]}")
    with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
        result = measure_slide(
            settings,
            reader,
            stain=slide.stain,
            network=network,
            limits=limits,
            progress=progress,
            cancelled=cancelled,
        )
        info, mpp, thumbnail = reader.info, reader.info.mpp, reader.thumbnail(THUMBNAIL_PX)
    folder.write_image("thumbnail.jpg", thumbnail)
    write_quality(folder, result, max_px=THUMBNAIL_PX)
    measured = NewMeasurement(
        slide_id=slide_id,
        report=result.report.to_dict(),
        limits_version=limits.version,
        weights_sha256=network.weights_sha256,
        mpp_x=mpp.x if mpp else None,
        mpp_y=mpp.y if mpp else None,
        mpp_source=mpp.source.value if mpp else None,
        code_version=version("second-read"),
        seconds=round(time.monotonic() - started, 3),
        results_dir=folder.relative,
        facts=SlideFacts(
            vendor=info.vendor,
            width=info.size.width,
            height=info.size.height,
            levels=len(info.levels),
            objective_power=info.objective_power,
        ),
    )
    with open_log(settings) as database:
        save_measurement(database, measured)
    report = result.report
    return f"{report.disposition.value.replace('_', ' ').capitalize()}: {report.explanation}"
