"""Whether a model may be run on a slide, and what it means to run it all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from core.domain import Mpp, Stain
from core.errors import InputError, NotApplicableError
from core.store.records import NOT_CHECKED, OVERRIDE, RunResult, SlideRecord
from models.cards import ModelCard

COARSER_ALLOWED = 1.1
"""A slide may be this much coarser than the model's scale before its pixels would have to be invented."""


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody's word that a model shall be run on a slide that it is not made for."""

    reason: str
    actor: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError("Say why the model is to be run on a slide that it is not made for.")


@dataclass(frozen=True, slots=True)
class Fit:
    """How a slide answers to what a model is made for, in phrases."""

    unfit: tuple[str, ...]
    """What does not fit; nothing if the model may be run."""
    not_checked: tuple[str, ...]
    """What could not be checked because nobody stated it."""


def fit_of(card: ModelCard, slide: SlideRecord, mpp: Mpp) -> Fit:
    """Compare a slide with the model's card; what is unknown is not held against the slide, but said."""
    stains = " or ".join(stain.value.upper() for stain in card.stain)
    unfit: list[str] = []
    not_checked: list[str] = []
    if not card.for_slides:
        unfit.append(f"it is not for slides ({card.for_slides_note.rstrip('.')})")
    if slide.stain is Stain.UNKNOWN:
        not_checked.append(f"The slide's stain is not stated; the model is made for {stains} slides.")
    elif slide.stain not in card.stain:
        unfit.append(f"it is made for {stains} slides, and this one is {slide.stain.value.upper()}")
    if slide.tissue is None:
        not_checked.append(f"The slide's tissue is not stated; the model is made for {card.tissue}.")
    elif not same_tissue(slide.tissue, card.tissue):
        unfit.append(f"it is made for {card.tissue}, and this slide is {slide.tissue}")
    if mpp.mean > card.mpp * COARSER_ALLOWED:
        unfit.append(f"it needs {card.mpp:g} um/px or finer, and this slide has {mpp.mean:g}")
    return Fit(tuple(unfit), tuple(not_checked))


def same_tissue(stated: str, made_for: str) -> bool:
    """Say whether a slide's tissue is the model's; a card may name several, separated by commas."""
    return stated.strip().casefold() in {name.strip().casefold() for name in made_for.split(",")}


def fit_settings(card: ModelCard, slide: SlideRecord, mpp: Mpp, *, override: Override | None) -> dict[str, object]:
    """Return what a run's settings are to say about the fit: nothing, or what was overridden and not checked.

    Raises:
        NotApplicableError: the slide does not fit, and nobody gave a reason to run the model all the same.
    """
    fit = fit_of(card, slide, mpp)
    said: dict[str, object] = {NOT_CHECKED: list(fit.not_checked)} if fit.not_checked else {}
    if not fit.unfit:
        return said
    if override is None:
        raise NotApplicableError(
            f"The model {card.name} is not made for this slide: {'; '.join(fit.unfit)}. Choose another "
            "model, correct what is stated about the slide, or run it anyway with a reason."
        )
    return said | {OVERRIDE: {"reason": override.reason, "actor": override.actor, "unfit": list(fit.unfit)}}


def override_words(run: RunResult) -> str | None:
    """Return the sentence that says that a run was overridden, by whom and why; None if it was not."""
    override = run.settings.get(OVERRIDE)
    if not isinstance(override, Mapping):
        return None
    told = cast(Mapping[str, object], override)
    unfit = "; ".join(str(item) for item in cast(list[object], told["unfit"]))
    return (
        f"The model {run.model} was run although it is not made for this slide: {unfit}. "
        f"Reason given by {told['actor']}: {told['reason']}"
    )


def not_checked(run: RunResult) -> tuple[str, ...]:
    """Return the sentences about what was not checked before the run."""
    return tuple(str(item) for item in cast(list[object], run.settings.get(NOT_CHECKED) or []))
