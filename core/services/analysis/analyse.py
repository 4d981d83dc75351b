"""One slide from file to result: open, measure quality, find tissue, cut tiles, predict, aggregate, write."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from core.domain import Mpp, SlideStatus
from core.errors import MissingMppError
from core.inference import TileModel
from core.roles import Permission
from core.services import catalogue
from core.services.analysis.aggregators import apply_active, load_active
from core.services.analysis.fit import Override, fit_settings, override_words
from core.services.analysis.outcomes import OF_THE_SLIDE, status_of
from core.services.analysis.run_files import THUMBNAIL_PX, RunFolder
from core.services.analysis.tile_results import analyse_tiles
from core.services.analysis.unlikeness import measured_colours
from core.services.people.authority import require_now
from core.services.quality.measure import QcResult
from core.services.quality.of_run import measured_quality, with_quality
from core.services.rules.flagging import refresh_flags
from core.settings import Settings
from core.slides import SlideReader, open_slide, sha256_of
from core.store.connection import open_log, writing
from core.store.events import Action, append_event, slide_entity
from core.store.records import OVERRIDE, POSITIVE_TITLE, RunResult, SlideFacts, SlideRecord
from core.store.results import save_run
from core.tissue import find_tissue
from models.cards import ModelCard, load_card
from models.device import prepare_for_tiles
from models.registry import load_model

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (tiles done, tiles in all)."""


def analyse_slide(
    settings: Settings,
    slide_id: str,
    *,
    run_id: str,
    model_name: str | None = None,
    override: Override | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> RunResult:
    """Analyse one slide of the catalogue and write its result files; the log is left to the caller.

    A slide that cannot be judged gives a result with that status and a sentence: no slide vanishes. A run that was
    killed and is started again with the same `run_id` goes on where it stopped. A slide that the model is not made for
    is refused unless `override` says why not; the run then carries that reason.

    Raises:
        CancelledError: the user cancelled.
        ModelError: the model's card or weights cannot be used, or those of an active aggregator.
        StorageError: the results cannot be written.
        NotFoundError: no slide or aggregator of that name.
        InputError: what should decide cannot be read.
    """
    started = time.monotonic()
    slide = catalogue.get_slide(settings, slide_id)
    card = load_card(model_name or settings.model)
    active = load_active(settings, card)
    run = _blank_run(settings, slide, card, run_id)
    try:
        with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
            run = _with_facts(run, reader, sha256_of(Path(slide.path)))
            folder = RunFolder.of(settings, slide_id, run_id)
            folder.write_image("thumbnail.jpg", reader.thumbnail(THUMBNAIL_PX))
            # Before anything that may refuse the slide: a slide that no model reads has a quality all the same.
            _require_mpp(reader, slide)
            quality = measured_quality(settings, slide, reader, folder, cancelled=cancelled)
            run = with_quality(run, quality)
            run = _analyse_open(
                settings, slide, card, run, reader, quality, override=override, progress=progress, cancelled=cancelled
            )
        if run.status is SlideStatus.OK:
            run = apply_active(settings, run, card, active, progress=progress, cancelled=cancelled)
    except tuple(OF_THE_SLIDE) as err:
        run = replace(run, status=status_of(err), message=str(err))
    run = replace(run, seconds=time.monotonic() - started)
    folder = RunFolder.of(settings, slide_id, run_id)
    folder.write_record(_record_of(run, slide, card))
    folder.drop_checkpoint()
    return replace(run, results_dir=folder.relative)


def _analyse_open(
    settings: Settings,
    slide: SlideRecord,
    card: ModelCard,
    run: RunResult,
    reader: SlideReader,
    quality: QcResult,
    *,
    override: Override | None,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> RunResult:
    folder = RunFolder.of(settings, slide.slide_id, run.run_id)
    mpp = _require_mpp(reader, slide)
    run = replace(run, settings={**run.settings, **fit_settings(card, slide, mpp, override=override)})
    run = replace(run, message=override_words(run) or "")
    mask = find_tissue(reader, settings.tissue)
    colours = measured_colours(reader, mask)
    run = replace(run, tissue_mm2=mask.area_mm2, settings={**run.settings, **colours})
    if not mask.mask.any():
        message = "No tissue was found on the slide: it is empty, or all of it is glass, ink or dust."
        return replace(run, status=SlideStatus.NO_TISSUE, message=message)
    model = shared_model(card.name, settings.device)
    return analyse_tiles(
        settings,
        card,
        model,
        run,
        reader,
        mpp,
        mask,
        artefacts=quality.map,
        folder=folder,
        progress=progress,
        cancelled=cancelled,
    )


def analyse_and_record(
    settings: Settings,
    slide_id: str,
    *,
    model_name: str | None = None,
    override_reason: str | None = None,
    progress: Progress | None = None,
    actor: str,
) -> RunResult:
    """Analyse one slide outside the queue, keep the run in the log and bring its case's flags up to date.

    Raises:
        CancelledError, ModelError, StorageError, NotFoundError: as `analyse_slide`; the log is then unchanged.
        NotAllowedError: the actor may not do this.
    """
    require_now(settings, actor, Permission.OPERATE)
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"
    override = None if override_reason is None else Override(override_reason.strip(), actor)
    run = analyse_slide(settings, slide_id, run_id=run_id, model_name=model_name, override=override, progress=progress)
    with open_log(settings) as database, writing(database):
        if override is not None and OVERRIDE in run.settings:
            payload = {"run_id": run_id, "model": run.model, "reason": override.reason}
            append_event(database, Action.OVERRIDE_GIVEN, entity=slide_entity(slide_id), actor=actor, payload=payload)
        save_run(database, run, actor=actor)
    refresh_flags(settings, catalogue.get_slide(settings, slide_id).case_id, actor=actor)
    return run


@lru_cache(maxsize=2)
def shared_model(name: str, device: str) -> TileModel:
    """Load a model once per process: a worker analyses many slides with it."""
    model = load_model(name, device=prepare_for_tiles(device))
    log.info("%s runs on %s", name, model.device)
    return model


def _require_mpp(reader: SlideReader, slide: SlideRecord) -> Mpp:
    if reader.info.mpp is None:
        raise MissingMppError(
            f"{Path(slide.path).name} states no micrometres per pixel. "
            "Give the scanner's value (--mpp, or the column mpp of a manifest); it is never guessed."
        )
    return reader.info.mpp


def _blank_run(settings: Settings, slide: SlideRecord, card: ModelCard, run_id: str) -> RunResult:
    return RunResult(
        run_id=run_id,
        slide_id=slide.slide_id,
        model=card.name,
        model_version=card.created,
        weights_sha256=card.weights_sha256,
        threshold=card.slide_threshold,
        status=SlideStatus.OK,
        created_at=datetime.now(UTC),
        code_version=version("second-read"),
        settings={
            "device": settings.device,
            "batch_size": settings.batch_size,
            "min_tissue_fraction": settings.min_tissue_fraction,
            "stride_um": settings.stride_um or card.tile_um,
            "tissue_mpp": settings.tissue.mpp,
            "positive_classes": list(card.positive_classes),
            POSITIVE_TITLE: card.positive_title,
            "tile_um": card.tile_um,
            "model_mpp": card.mpp,
        },
    )


def _with_facts(run: RunResult, reader: SlideReader, sha256: str) -> RunResult:
    info = reader.info
    facts = SlideFacts(
        sha256=sha256,
        vendor=info.vendor,
        width=info.size.width,
        height=info.size.height,
        levels=len(info.levels),
        objective_power=info.objective_power,
    )
    if info.mpp is None:
        return replace(run, facts=facts)
    return replace(run, facts=facts, mpp_x=info.mpp.x, mpp_y=info.mpp.y, mpp_source=info.mpp.source)


def _record_of(run: RunResult, slide: SlideRecord, card: ModelCard) -> dict[str, object]:
    """Return what `run.json` keeps: enough to repeat the run and to judge it."""
    facts = run.facts
    return {
        "run_id": run.run_id,
        "slide": {"id": slide.slide_id, "sha256": facts.sha256 if facts else None, "stain": slide.stain.value},
        "model": {"name": card.name, "title": card.title, "weights_sha256": card.weights_sha256},
        "status": run.status.value,
        "message": run.message,
        "mpp": {"x": run.mpp_x, "y": run.mpp_y, "source": run.mpp_source.value if run.mpp_source else None},
        "tissue_mm2": run.tissue_mm2,
        "tiles": {"total": run.tiles_total, "kept": run.tiles_kept, "dropped": dict(run.tiles_dropped)},
        "scores": {name: dict(classes) for name, classes in run.scores.items()},
        "label": run.label,
        "decision": {
            "aggregation": run.decision_aggregation,
            "score": run.decision_score,
            "threshold": run.threshold,
        },
        "qc": run.qc,
        "settings": dict(run.settings),
        "device": run.device,
        "code_version": run.code_version,
        "created_at_utc": run.created_at.isoformat(),
        "seconds": run.seconds,
        "tiles_per_second": run.tiles_per_second,
    }
