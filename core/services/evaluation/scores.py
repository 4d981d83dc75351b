"""What a model says about slides or cases: its runs in the log, or the imported predictions of another system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.aggregation import DEFAULT_AGGREGATION
from core.domain import ReadCategory, SlideStatus
from core.errors import InputError, NotFoundError
from core.schemes import load_scheme
from core.services.cases.verdicts import by_case_of
from core.services.evaluation.values import SYSTEM_PREFIX, Unit
from core.store.connection import Log
from core.store.evaluations import ModelRun, latest_predictions, latest_runs_of_model, systems
from core.store.imports import ImportedPrediction
from core.store.records import SlideRecord
from models.cards import ModelCard, load_card

SYSTEM_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class ModelScores:
    """Scores of units by one model."""

    name: str
    title: str
    positive: str
    """The target in words."""
    unit: Unit
    threshold: float
    threshold_note: str
    score: Mapping[str, float]
    """Unit -> score, 0-1."""
    slide_of: Mapping[str, str]
    """Unit -> slide whose score it is; "" for other systems."""
    without: Mapping[str, str]
    """Unit -> why there is no score."""
    rules: Mapping[str, Mapping[str, float]]
    """Rule -> unit -> score, as far as every slide has it."""
    runs: Mapping[str, ModelRun]
    """Slide -> run; empty for other systems."""
    card: ModelCard | None
    """None for other systems."""
    caution: tuple[str, ...] = ()


def model_scores(
    database: Log, slides: Sequence[SlideRecord], *, model: str, unit: Unit, aggregation: str | None
) -> ModelScores:
    """Return the scores of slides or of their cases.

    Args:
        database: Open log.
        slides: Those that take part.
        model: Name of a card, or `system:NAME`.
        unit: What is scored; other systems speak of cases only.
        aggregation: None = what decides; otherwise a rule or aggregator.

    Raises:
        NotFoundError: no such model or system.
        InputError: a system is asked about slides or about a rule, or no run has the rule.
    """
    if model.startswith(SYSTEM_PREFIX):
        if unit is Unit.SLIDE or aggregation is not None:
            raise InputError("Imported predictions speak of whole cases: choose cases, and no rule.")
        return _of_system(database, slides, model.removeprefix(SYSTEM_PREFIX))
    card = load_card(model)
    runs = latest_runs_of_model(database, model)
    runs = {one.slide_id: runs[one.slide_id] for one in slides if one.slide_id in runs}
    done = {name: run for name, run in runs.items() if run.status is SlideStatus.OK and run.scores}
    if aggregation is not None and not any(aggregation in run.scores for run in done.values()):
        raise InputError(f"No result of {model} has the rule {aggregation!r}.")
    score = {name: found for name, run in done.items() if (found := slide_score(card, run, aggregation)) is not None}
    names = (
        [name for name in next(iter(done.values())).scores if all(name in run.scores for run in done.values())]
        if (done)
        else []
    )
    rules = {name: {slide: _by_rule(card, run, name) for slide, run in done.items()} for name in names}
    threshold, note = _threshold(card, done, aggregation)
    found = ModelScores(
        name=model,
        title=card.title,
        positive=card.positive_title,
        unit=Unit.SLIDE,
        threshold=threshold,
        threshold_note=note,
        score=score,
        slide_of={name: name for name in score},
        without={one.slide_id: _why_not(card, runs.get(one.slide_id)) for one in slides if one.slide_id not in score},
        rules=rules,
        runs=runs,
        card=card,
    )
    return found if unit is Unit.SLIDE else _of_cases(found, slides)


def slide_score(card: ModelCard, run: ModelRun, aggregation: str | None) -> float | None:
    """Return a slide's score: the one that decided, or that of a rule; None where the run lacks it."""
    if aggregation is None:
        if run.decision_score is not None:
            return run.decision_score
        aggregation = DEFAULT_AGGREGATION.value
    return _by_rule(card, run, aggregation) if aggregation in run.scores else None


def _by_rule(card: ModelCard, run: ModelRun, rule: str) -> float:
    """Return the score that decided, where this rule decided, else that of the strongest of the target's classes."""
    if rule == run.decision and run.decision_score is not None:
        return run.decision_score
    return max(run.scores[rule].get(name, 0.0) for name in card.positive_classes)


def _threshold(card: ModelCard, runs: Mapping[str, ModelRun], aggregation: str | None) -> tuple[float, str]:
    used = {run.threshold for run in runs.values() if run.threshold is not None}
    if aggregation is None and len(used) == 1 and (one := used.pop()) != card.slide_threshold:
        return one, "The threshold under which the slides were decided."
    if aggregation is None or aggregation == DEFAULT_AGGREGATION.value:
        return card.slide_threshold, card.slide_threshold_note
    return card.slide_threshold, "Chosen for the default rule; no card states a threshold for this one."


def _why_not(card: ModelCard, run: ModelRun | None) -> str:
    if run is None:
        return f"not analysed with {card.name}"
    return run.message or run.status.value.replace("_", " ")


def _of_cases(of_slides: ModelScores, slides: Sequence[SlideRecord]) -> ModelScores:
    """Give every case its highest slide; a case with a slide that should have a score and has none is left out.

    Negative is a case only by all its slides; those that the model is not made for, such as other stains, do not count.
    """
    score: dict[str, float] = {}
    slide_of: dict[str, str] = {}
    without: dict[str, str] = {}
    members = by_case_of(slides)
    for case_id, of_case in members.items():
        scored = [one.slide_id for one in of_case if one.slide_id in of_slides.score]
        missing = [one.slide_id for one in of_case if one.slide_id not in of_slides.score]
        waits = [name for name in missing if not _is_not_applicable(of_slides.runs.get(name))]
        if scored and not waits:
            slide_of[case_id] = max(scored, key=lambda name: of_slides.score[name])
            score[case_id] = of_slides.score[slide_of[case_id]]
        else:
            first = (waits or missing)[0]
            without[case_id] = f"slide {first}: {of_slides.without[first]}"
    rules = {
        name: {
            case_id: max(values[one.slide_id] for one in members[case_id] if one.slide_id in values)
            for case_id in score
        }
        for name, values in of_slides.rules.items()
    }
    return replace(of_slides, unit=Unit.CASE, score=score, slide_of=slide_of, without=without, rules=rules)


def _is_not_applicable(run: ModelRun | None) -> bool:
    return run is not None and run.status is SlideStatus.NOT_APPLICABLE


def _of_system(database: Log, slides: Sequence[SlideRecord], system: str) -> ModelScores:
    if system not in systems(database):
        raise NotFoundError(f"No predictions of a system {system!r} were imported.")
    said = latest_predictions(database, system)
    cases = tuple(by_case_of(slides))
    score = {case_id: found for case_id in cases if (found := _malignant(said.get(case_id))) is not None}
    return ModelScores(
        name=f"{SYSTEM_PREFIX}{system}",
        title=f"{system} (imported predictions)",
        positive="malignant",
        unit=Unit.CASE,
        threshold=SYSTEM_THRESHOLD,
        threshold_note="One half: no card states a threshold for an imported system.",
        score=score,
        slide_of=dict.fromkeys(score, ""),
        without=dict.fromkeys((one for one in cases if one not in score), f"{system} says nothing usable"),
        rules={},
        runs={},
        card=None,
    )


def _malignant(said: ImportedPrediction | None) -> float | None:
    """Return the probability of malignancy: the sum over malignant classes, else 1 or 0 by what is called."""
    plain = load_scheme("plain")
    if said is None:
        return None

    def category(name: str) -> ReadCategory | None:
        code = plain.code_of(name)
        return None if code is None else plain.read_category(code)

    known = [value for name, value in said.probabilities.items() if category(name) is ReadCategory.MALIGNANT]
    if known:
        return min(1.0, sum(known))
    called = category(said.label) if said.label else None
    return None if called in (None, ReadCategory.INDETERMINATE) else float(called is ReadCategory.MALIGNANT)
