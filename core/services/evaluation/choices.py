"""What can be chosen on the evaluation page: models, references and cohorts; and taking in a table of labels."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from core.errors import InputError, StorageError
from core.roles import Permission
from core.services.evaluation.cohort import reader_names, visible_slides
from core.services.evaluation.reference_labels import CONSENSUS
from core.services.evaluation.values import READER_PREFIX, SYSTEM_PREFIX, Cohort
from core.services.people.authority import require
from core.services.training.slide_labels import (
    LABELS_FOLDER,
    LABELS_PREFIX,
    READS,
    TRUTH,
    label_tables,
    read_label_table,
)
from core.settings import Settings
from core.store.cases import all_slides
from core.store.connection import open_log, reading, writing
from core.store.evaluations import models_with_runs, systems
from core.store.events import Action, append_event
from models.cards import list_cards

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,60}")


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from, for one person."""

    models: tuple[tuple[str, str], ...]
    """(name, title): models with a result, the one used last first, then imported systems."""
    references: tuple[tuple[str, str], ...]
    """(reference, in words)."""
    sites: tuple[str, ...]
    scanners: tuple[str, ...]
    stains: tuple[str, ...]
    n_slides: int
    """That the person may evaluate."""
    unread: tuple[str, ...]
    """Cases hidden because nobody has read them."""
    blinded: int
    """Cases hidden because a blinded opinion is awaited from the person."""


def evaluation_choices(settings: Settings, *, actor: str) -> Choices:
    """Return what an actor can choose from.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    cards = {card.name: card.title for card in list_cards()}
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        visible = visible_slides(database, cohort=Cohort(), actor=actor)
        imported = systems(database)
        models = [(name, cards[name]) for name in models_with_runs(database) if name in cards]
        names = sorted(reader_names(database, actor=actor).shown.values())
    slides = visible.slides
    others = [(f"{SYSTEM_PREFIX}{name}", f"{name} (imported)") for name in imported]
    return Choices(
        models=(*models, *others),
        references=(
            (TRUTH, "Planted truth or outlines beside the slides"),
            *((f"{LABELS_PREFIX}{name}", f"Table of labels: {name}") for name in label_tables(settings)),
            *([(READS, "The pathologists' reads"), (CONSENSUS, "Consensus of the readers")] if names else []),
            *((f"{READER_PREFIX}{name}", f"Reader: {name}") for name in names),
            *others,
        ),
        sites=tuple(sorted({slide.site for slide in slides if slide.site})),
        scanners=tuple(sorted({slide.scanner for slide in slides if slide.scanner})),
        stains=tuple(sorted({slide.stain.value for slide in slides})),
        n_slides=len(slides),
        unread=visible.unread,
        blinded=len(visible.blinded),
    )


def import_labels(settings: Settings, name: str, content: bytes, *, actor: str) -> str:
    """Keep a table of labels (columns slide_id, label, perhaps group) as a reference; the log tells who brought it.

    Args:
        settings: Names the home folder.
        name: What the reference is to be called; a table of that name is replaced, which the log tells too.
        content: The CSV.
        actor: Who brings it.

    Returns:
        The reference, as `EvaluationRequest.reference`.

    Raises:
        NotAllowedError: the actor may not import.
        InputError: the name or the table cannot be used, or it names no slide of the catalogue.
        StorageError: it cannot be written.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.IMPORT_READS)
        title = name.strip()
        if not _NAME.fullmatch(title):
            raise InputError("Name the table with letters, digits, spaces, dots or dashes, at most 60.")
        folder = settings.home / LABELS_FOLDER
        part = folder / f".{uuid4().hex}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            found = read_label_table(part, {slide.slide_id for slide in all_slides(database)}, title=title)
            payload = {"name": title, "sha256": hashlib.sha256(content).hexdigest(), "slides": len(found.target)}
            append_event(database, Action.LABELS_IMPORTED, entity=f"labels:{title}", actor=actor, payload=payload)
            os.replace(part, folder / f"{title}.csv")
        except OSError as err:
            raise StorageError(f"The table cannot be kept in {folder} ({err.strerror or err}).") from err
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    return f"{LABELS_PREFIX}{title}"


def chosen(value: str | None, options: Sequence[tuple[str, str]]) -> str | None:
    """Return a value if it is among the options, else the first of them; None where there is none."""
    names = [name for name, _ in options]
    return value if value in names else next(iter(names), None)
