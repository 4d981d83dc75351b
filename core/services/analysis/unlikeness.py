"""Slides unlike the ones a model is used on: colour statistics of the tissue against a reference of usual slides.

The analysis keeps nine numbers of each slide (mean, spread and median of the optical density of red, green and blue of
its tissue). A lead fits a reference on slides of the department, those that quality control accepted or all analysed
ones; from then on a slide whose colours are stranger than all but a share alpha of held-out reference slides is flagged
as unlike others. The reference stands in the log with its numbers, so that every flag can be traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image

from core.errors import InputError
from core.roles import Permission
from core.services.consultations.answers import plain_text
from core.services.people.authority import require
from core.settings import Settings
from core.slides import SlideReader
from core.store.connection import Log, open_log, reading, writing
from core.store.events import Action, append_event, events_of_kind, reference_entity
from core.store.evidence import RunFacts
from core.store.slide_colours import colours_of_model
from core.tissue import TissueMask
from core.uncertainty.conformal import needed_cases
from core.uncertainty.distance import FEWEST_CASES, Reference, colour_statistics, fit_reference, p_values_of_distance

COLOURS = "tissue_colours"
"""Key of a run's settings: the nine numbers."""
PICTURE_PX = 512
"""Longest side of the picture that is measured; colour needs no more."""
LARGEST_REFERENCE = 2_000
"""Slides; of more, so many are drawn."""


class Usual(StrEnum):
    """Which slides count as usual."""

    ACCEPTED = "accepted"
    """Whose latest quality verdict accepts them, with or without limitation."""
    ANALYSED = "analysed"
    """All with a result, but those that quality control refused."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceInUse:
    """What usual slides of a model look like, as the log has it."""

    model: str
    weights_sha256: str
    alpha: float
    usual: Usual
    slides: int
    reference: Reference
    added_by: str
    added_at: datetime
    reason: str

    @property
    def held_out(self) -> int:
        """Slides that the p-value is counted on."""
        return len(self.reference.distances)

    @property
    def can_flag(self) -> bool:
        """Whether a slide can be strange enough at all: at least 1/alpha - 1 held-out slides."""
        return self.held_out >= needed_cases(self.alpha)


References = Mapping[str, ReferenceInUse]
"""By the SHA-256 of the model's weights."""


def measured_colours(reader: SlideReader, mask: TissueMask) -> dict[str, object]:
    """Return what the settings of a run keep of a slide's colours; nothing without tissue.

    Args:
        reader: The open slide.
        mask: Its tissue.
    """
    picture = reader.thumbnail(PICTURE_PX)
    height, width = picture.shape[:2]
    shape = Image.fromarray(mask.mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.NEAREST)
    tissue = picture[np.asarray(shape) > 0]
    if not len(tissue):
        return {}
    return {COLOURS: [round(value, 5) for value in colour_statistics(tissue[None, :, None, :])[0].tolist()]}


def fit_usual(
    settings: Settings,
    weights_sha256: str,
    *,
    usual: Usual = Usual.ACCEPTED,
    alpha: float = 0.01,
    seed: int = 0,
    reason: str,
    actor: str,
) -> ReferenceInUse:
    """Fit what usual slides of a model look like, and use it from the next evaluation of each case on.

    Args:
        settings: Names the home folder.
        weights_sha256: Of the model.
        usual: Which slides count as usual.
        alpha: Share of usual slides that may be flagged.
        seed: Of the halves: one sets the measure, the other calibrates it.
        reason: Why.
        actor: Who does it.

    Raises:
        NotAllowedError: the actor may not change rules.
        InputError: too few slides have colour statistics, or alpha or reason cannot be used.
    """
    if not 0 < alpha < 1:
        raise InputError(f"Alpha is {alpha:g}; it must lie between 0 and 1, for example 0.01.")
    why = plain_text(reason, what="A reason", needed=True)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_RULES)
        found = colours_of_model(database, weights_sha256, key=COLOURS, accepted_only=usual is Usual.ACCEPTED)
        if len(found) < FEWEST_CASES:
            which = "that quality control accepted " if usual is Usual.ACCEPTED else ""
            raise InputError(
                f"{len(found)} slides {which}have colour statistics of this model; {FEWEST_CASES} are needed. Slides "
                "analysed by an earlier version have none: analyse them again."
            )
        names = sorted(found)
        if len(names) > LARGEST_REFERENCE:
            names = sorted(np.random.default_rng(seed).choice(names, LARGEST_REFERENCE, replace=False).tolist())
        features = [found[name].colours for name in names]
        payload = {
            "model": found[names[0]].model,
            "alpha": alpha,
            "usual": usual.value,
            "seed": seed,
            "reason": why,
            "features": [list(one) for one in features],
        }
        _reference(_rounded(payload["features"]), seed)
        entity = reference_entity(weights_sha256)
        append_event(database, Action.REFERENCE_FITTED, entity=entity, actor=actor, payload=payload)
        return references_in(database)[weights_sha256]


def list_references(settings: Settings, *, actor: str) -> tuple[ReferenceInUse, ...]:
    """Return the references in use, one a model's weights.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        return tuple(references_in(database).values())


def references_in(database: Log) -> References:
    """Return the references that count, inside a transaction: the latest of each model."""
    found: dict[str, ReferenceInUse] = {}
    for event in events_of_kind(database, "reference"):
        told = event.payload
        weights, features = event.entity.removeprefix(reference_entity("")), _rounded(told["features"])
        found[weights] = ReferenceInUse(
            model=str(told["model"]),
            weights_sha256=weights,
            alpha=float(str(told["alpha"])),
            usual=Usual(str(told["usual"])),
            slides=len(features),
            reference=_reference(features, int(str(told["seed"]))),
            added_by=event.actor,
            added_at=event.at_utc,
            reason=str(told["reason"]),
        )
    return found


def strangeness_of(run: RunFacts, references: References) -> tuple[float | None, str]:
    """Return the share of usual slides as strange as a run's slide, and the words of a flag if that is too few.

    None without a reference for the model, or without colour statistics of the slide.
    """
    used, told = references.get(run.weights_sha256), run.settings.get(COLOURS)
    if used is None or not isinstance(told, list):
        return None, ""
    features = np.array([[float(str(value)) for value in cast("list[object]", told)]])
    if features.shape[1] != len(used.reference.centre):
        return None, ""
    share = float(p_values_of_distance(used.reference, features)[0])
    if share > used.alpha:
        return share, ""
    words = f"colours as strange as in {share:.1%} of {used.held_out} held-out usual slides, limit {used.alpha:.1%}"
    return share, words


def _rounded(features: object) -> tuple[tuple[float, ...], ...]:
    rows = cast("list[list[float]]", features)
    return tuple(tuple(float(value) for value in row) for row in rows)


@lru_cache(maxsize=8)
def _reference(features: tuple[tuple[float, ...], ...], seed: int) -> Reference:
    """Fit once per process: every evaluation of a case asks for it."""
    return fit_reference(np.array(features, np.float64), seed=seed)
