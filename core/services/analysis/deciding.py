"""What decides a slide: the default rule, or what the user chose instead; and what follows from the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.aggregation import DEFAULT_AGGREGATION, Aggregation, aggregate, carrying_tiles
from core.errors import InputError
from core.store.records import CARRYING_ARTEFACT, WITHOUT_ARTEFACT, Json, RunResult
from models.cards import ModelCard


@dataclass(frozen=True, slots=True)
class Decision:
    """A score that decides a slide."""

    by: str
    """A rule, or the name of a trained aggregator."""
    score: float
    threshold: float
    """Score from which the target is called."""

    @property
    def called(self) -> bool:
        """Whether the target is called."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants to decide."""

    by: str
    threshold: float | None
    """None = the one that belongs to it: of the model card for the default rule, of its own card for an aggregator."""


def read_choice(text: str, *, aggregators: Sequence[str]) -> Choice | None:
    """Read the setting `decision`; None where the default rule decides.

    Args:
        text: "", "NAME" or "NAME:THRESHOLD".
        aggregators: Names of the active aggregators.

    Raises:
        InputError: no such rule or aggregator, no threshold where one is needed, or none between 0 and 1.
    """
    if not text:
        return None
    name, colon, number = text.partition(":")
    rules = [rule.value for rule in Aggregation]
    if name not in rules and name not in aggregators:
        raise InputError(f"{name!r} cannot decide: it is none of {', '.join([*rules, *aggregators])}.")
    if not colon:
        if name in rules and name != DEFAULT_AGGREGATION.value:
            raise InputError(f"No card states a threshold for {name}; choose one, for example {name}:0.2.")
        return Choice(name, None)
    try:
        threshold = float(number)
    except ValueError:
        threshold = -1.0
    if not 0 < threshold < 1:
        raise InputError(f"The threshold of {name} is {number!r}; it must lie between 0 and 1.")
    return Choice(name, threshold)


def rule_score(rule: Aggregation, target: NDArray[np.floating], *, saliency: NDArray[np.float32] | None) -> float:
    """Return the slide's score: the tiles' probability of the target, aggregated by one rule.

    The target may be several classes. Their probabilities are added tile by tile, before aggregation: a slide half one
    kind of cancer and half another is all cancer, which no class by itself would say.

    Args:
        rule: How to aggregate.
        target: (N,) probability of the target.
        saliency: (N,) weights of the tiles, for the rule that needs them.

    Raises:
        InputError: the rule needs weights and there are none.
    """
    both = np.column_stack((1 - target, target)).astype(np.float32)
    found = aggregate(both, saliency=saliency)
    if rule not in found:
        raise InputError(f"{rule.value} needs the saliency of the tiles, which this run lacks; analyse again.")
    return float(found[rule][1])


def default_decision(card: ModelCard, target: NDArray[np.floating]) -> Decision:
    """Return what the default rule says, with the threshold of the model's card."""
    score = rule_score(DEFAULT_AGGREGATION, target, saliency=None)
    return Decision(DEFAULT_AGGREGATION.value, score, card.slide_threshold)


def decided(
    run: RunResult,
    card: ModelCard,
    decision: Decision,
    *,
    target: NDArray[np.floating],
    saliency: NDArray[np.float32] | None,
    unusable: NDArray[np.bool_],
) -> RunResult:
    """Return the run with the decision and what follows from it.

    That is the call, how much of what carries it is artefact, and what it would be without the spoilt tiles.

    Args:
        run: With scores and quality report.
        card: Of the tile model.
        decision: What decides.
        target: (N,) probability of the target of every tile.
        saliency: (N,) weights of the tiles; None if the run kept none.
        unusable: (N,) whether quality makes the tile unusable.
    """
    # A positive call rests on its top tiles; a negative one on everything that was looked at.
    carrying = carrying_tiles(target.astype(np.float32)) if decision.called else np.arange(len(target))
    return replace(
        run,
        label=_label(card, run.scores[DEFAULT_AGGREGATION.value], called=decision.called),
        decision_aggregation=decision.by,
        decision_score=decision.score,
        threshold=decision.threshold,
        qc={**(run.qc or {}), CARRYING_ARTEFACT: float(unusable[carrying].mean())},
        settings={
            **run.settings,
            WITHOUT_ARTEFACT: without_artefact(decision, target=target, saliency=saliency, unusable=unusable),
        },
    )


def without_artefact(
    decision: Decision,
    *,
    target: NDArray[np.floating],
    saliency: NDArray[np.float32] | None,
    unusable: NDArray[np.bool_],
) -> Json:
    """Return the target's scores over the usable tiles alone, beside those over all of them.

    Args:
        decision: What decides; its own score is repeated if it is a rule, since an aggregator would have to run again.
        target: (N,) probability of the target of every tile.
        saliency: (N,) weights of the tiles; None leaves out the rule that needs them.
        unusable: (N,) whether quality makes the tile unusable.

    Returns:
        tiles_left_out, tiles_used, scores (rule -> score of the target; empty if no tile is left), and
        decision_score (None where it cannot be told).
    """
    used = ~unusable
    rules = [rule for rule in Aggregation if saliency is not None or rule is not Aggregation.SALIENCY_MEAN]
    weights = None if saliency is None else saliency[used]
    scores = {rule.value: rule_score(rule, target[used], saliency=weights) for rule in rules} if used.any() else {}
    return {
        "tiles_left_out": int(unusable.sum()),
        "tiles_used": int(used.sum()),
        "scores": scores,
        "decision_score": scores.get(decision.by),
    }


def target_of(card: ModelCard, tiles: pd.DataFrame) -> NDArray[np.floating]:
    """Return (N,) the probability of the target of every row of a run's `tiles.parquet`."""
    return card.target_probability(tiles[[f"prob_{name}" for name in card.classes]].to_numpy(np.float32))


def _label(card: ModelCard, scores: Mapping[str, float], *, called: bool) -> str:
    """Return the strongest of the target's classes if the target is called, else the strongest of the others."""
    return max(
        (name for name in card.classes if (name in card.positive_classes) == called), key=lambda name: scores[name]
    )
