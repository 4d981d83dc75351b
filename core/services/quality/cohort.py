"""The slides of a cohort beside each other: their quality as vectors, who lies apart, and whether batches differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.qc.cohort import (
    ISOLATION_SHARE,
    OUTLIER_Z,
    BatchEffect,
    Embedding,
    Method,
    batch_effect,
    embed,
    isolation,
    outlying,
    robust_scores,
)
from core.qc.report import QcReport
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.quality.limits import bring_up_to_date
from core.services.quality.table import parsed_report
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.quality_pages import QualityEntry, QualityQuery, quality_entries
from core.store.quality_results import reports_of
from core.store.quality_schema import ARTEFACT_NAMES
from core.store.records import Json

__all__ = ["Batch", "BatchEffect", "CohortView", "Embedding", "Feature", "Outlier", "cohort_view"]

Batch = Literal["scanner", "site", "stain", "day"]
RULE = (
    f"A slide is an outlier where a feature lies more than {OUTLIER_Z:g} robust standard deviations (median absolute "
    "deviation; mean absolute deviation where that is 0) from the median of the slides shown. The isolation forest "
    f"ranks slides by all features together; the {100 * ISOLATION_SHARE:.0f} % easiest to set apart are named."
)
MAX_SLIDES = 20_000
MAX_TSNE_SLIDES = 2_000
"""t-SNE of more would keep the page waiting for minutes."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the vectors."""

    name: str
    title: str
    unit: str
    """"" for shares and numbers without unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A slide that lies apart."""

    slide_id: str
    reasons: tuple[tuple[str, float, float], ...]
    """(feature, value, robust score), the farthest first; empty where only all features together set it apart."""
    isolation: float
    """0-1; about 0.5 is ordinary."""
    is_isolated: bool
    """Among the slides that the isolation forest names."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortView:
    """Slides with a quality measurement, as vectors."""

    slides: tuple[QualityEntry, ...]
    """N slides, in the order of the query."""
    features: tuple[Feature, ...]
    """F features."""
    values: NDArray[np.float64]
    """(N, F), NaN where a value is missing."""
    scores: NDArray[np.float64]
    """(N, F) robust scores."""
    outliers: tuple[Outlier, ...]
    """The farthest first."""
    rule: str
    """How outliers are told, in words."""
    embedding: Embedding | None
    """None for fewer slides than a map needs."""
    batches: tuple[str, ...]
    """Batch of each slide; "" = not stated."""
    batch: Batch
    effect: BatchEffect | None
    """None where fewer than two batches have two slides each."""
    separating: tuple[tuple[str, float, float], ...]
    """(feature, share of its variance between batches, p over all features), the largest share first."""
    unmeasured: int
    """Slides that fit the query but have no measurement."""


def cohort_view(
    settings: Settings,
    *,
    actor: str,
    query: QualityQuery | None = None,
    batch: Batch = "scanner",
    method: Method = "pca",
    permutations: int = 200,
    seed: int = 0,
) -> CohortView:
    """Return the slides that fit a query as vectors of quality, with outliers, a map and the batch effect.

    Args:
        settings: Names the home folder.
        actor: Who looks.
        query: Which slides; None = all.
        batch: What counts as a batch.
        method: Of the map: "pca", or "tsne" for up to `MAX_TSNE_SLIDES` slides.
        permutations: Random dealings of the batches.
        seed: Of everything that is drawn.

    Raises:
        NotAllowedError: the actor may not see cases.
        InputError: too many slides fit.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.SEE_CASES)
        bring_up_to_date(database)
        with reading(database):
            hidden = hidden_slides(database, actor=actor)
            entries = quality_entries(database, query or QualityQuery(), hidden=hidden)
            measured = [one for one in entries if one.quality is not None]
            if len(measured) > MAX_SLIDES:
                raise InputError(f"{len(measured):,} slides fit; filter them to {MAX_SLIDES:,} at most.")
            reports = reports_of(database, [one.quality for one in measured if one.quality])
    slides, features, values = _vectors(measured, reports)
    scores = robust_scores(values)
    batches = tuple(_batch_of(one, batch) for one in slides)
    effect = batch_effect(scores, batches, permutations=permutations, seed=seed) if slides else None
    return CohortView(
        slides=slides,
        features=features,
        values=values,
        scores=scores,
        outliers=_outliers(slides, features, values, scores, seed=seed),
        rule=RULE,
        embedding=_embedding(scores, method, seed=seed),
        batches=batches,
        batch=batch,
        effect=effect,
        separating=_separating(effect, features),
        unmeasured=len(entries) - len(slides),
    )


def _vectors(
    measured: Sequence[QualityEntry], reports: Mapping[str, Json]
) -> tuple[tuple[QualityEntry, ...], tuple[Feature, ...], NDArray[np.float64]]:
    """Return the slides with a readable report, the features that any of them has, and the values."""
    found = [(one, report) for one in measured if (report := parsed_report(reports.get(one.slide_id))) is not None]
    rows = [_features(report) for _, report in found]
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], np.float64)
    values = values.reshape(len(rows), len(names))
    return tuple(one for one, _ in found), tuple(_feature(name) for name in names), values


def _features(report: QcReport) -> dict[str, float]:
    """Return what a slide is compared by: shares of the classes, usable share, tissue, sections, stain, measures."""
    found = {f"fraction_{name}": report.classes[name].fraction_of_tissue for name in ARTEFACT_NAMES}
    found |= {
        "usable_fraction": report.usable_fraction,
        # Areas scatter over orders of magnitude.
        "log_tissue_mm2": float(np.log10(max(report.tissue_mm2, 1e-3))),
        "sections": float(report.sections),
    }
    stain = report.stain
    if stain.angle_degrees is not None:
        found["stain_angle"] = stain.angle_degrees
    for place, (vector, amount) in enumerate(zip(stain.vectors, stain.concentrations, strict=False), start=1):
        found[f"stain_{place}_amount"] = amount
        found |= {f"stain_{place}_{channel}": value for channel, value in zip("rgb", vector, strict=True)}
    found |= {f"measure_{name}": value for name, value in report.measures.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


_TITLES = {
    "usable_fraction": ("Usable share of tissue", ""),
    "log_tissue_mm2": ("Tissue, log10", "log10 mm2"),
    "sections": ("Sections", ""),
    "stain_angle": ("Angle of the stain vectors", "degrees"),
}
_CHANNELS = {"r": "red", "g": "green", "b": "blue"}


def _feature(name: str) -> Feature:
    if name in _TITLES:
        return Feature(name, *_TITLES[name])
    words = name.replace("_", " ")
    if name.startswith("fraction_"):
        return Feature(name, f"{words.removeprefix('fraction ').capitalize()}, share of tissue", "")
    if name.startswith("stain_"):
        _, place, part = name.split("_")
        dye = "first" if place == "1" else "second"
        return (
            Feature(name, f"{part.capitalize()} of the {dye} dye", "OD")
            if part == "amount"
            else Feature(name, f"Direction of the {dye} dye in {_CHANNELS[part]}", "")
        )
    return Feature(name, words.removeprefix("measure ").capitalize(), "")


def _outliers(
    slides: Sequence[QualityEntry],
    features: Sequence[Feature],
    values: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    seed: int,
) -> tuple[Outlier, ...]:
    if not slides:
        return ()
    apart = isolation(scores, seed=seed)
    count = int(np.floor(ISOLATION_SHARE * len(slides)))
    named = set(np.argsort(-apart, kind="stable")[:count].tolist())
    found: list[tuple[float, Outlier]] = []
    for place, beyond in enumerate(outlying(scores)):
        if beyond or place in named:
            reasons = tuple(
                (features[column].name, float(values[place, column]), float(scores[place, column])) for column in beyond
            )
            outlier = Outlier(
                slide_id=slides[place].slide_id,
                reasons=reasons,
                isolation=float(apart[place]),
                is_isolated=place in named,
            )
            found.append((max((abs(score) for _, _, score in reasons), default=0.0), outlier))
    return tuple(one for _, one in sorted(found, key=lambda pair: (-pair[0], -pair[1].isolation)))


def _separating(effect: BatchEffect | None, features: Sequence[Feature]) -> tuple[tuple[str, float, float], ...]:
    if effect is None:
        return ()
    parts = zip(features, effect.between.tolist(), effect.between_p.tolist(), strict=True)
    return tuple(sorted(((one.name, share, p) for one, share, p in parts), key=lambda part: -part[1]))


def _embedding(scores: NDArray[np.float64], method: Method, *, seed: int) -> Embedding | None:
    if len(scores) < 3:
        return None
    if method == "tsne" and not 5 <= len(scores) <= MAX_TSNE_SLIDES:
        made = embed(scores, method="pca")
        limits = f"t-SNE is made of 5 to {MAX_TSNE_SLIDES:,} slides, so this is a map of principal components."
        return replace(made, words=f"{limits} {made.words}")
    return embed(scores, method=method, seed=seed)


def _batch_of(entry: QualityEntry, batch: Batch) -> str:
    match batch:
        case "scanner":
            return entry.scanner or ""
        case "site":
            return entry.site or ""
        case "stain":
            return entry.stain.value
        case "day":
            return f"{entry.added_at:%Y-%m-%d}"
