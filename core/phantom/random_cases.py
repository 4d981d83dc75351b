"""Random cohorts of phantom cases for evaluation: any number of cases from one seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.domain import ReadCategory
from core.phantom.cases import SITES, DemoCase, SpecBuilder, make_case
from core.phantom.spec import Artefact, ArtefactKind, GrowthPattern, Lesion, PhantomSpec, TissueMix


def random_cohort(cases: int, *, seed: int) -> tuple[DemoCase, ...]:
    """Return a random cohort: half with tumour, every fifth read wrong, most kinds of artefact.

    Args:
        cases: How many cases, one or two slides each.
        seed: Everything follows from it.

    Raises:
        ValueError: fewer than one case.
    """
    if cases < 1:
        raise ValueError(f"A cohort needs at least one case, not {cases}.")
    rng = np.random.default_rng([seed, 8])
    make = SpecBuilder(seed).spec
    return tuple(_random_case(rng, make, f"SR-{1001 + number}") for number in range(cases))


def _random_case(rng: np.random.Generator, make: Callable[..., PhantomSpec], case_id: str) -> DemoCase:
    site = SITES[int(rng.integers(len(SITES)))]
    tumour = bool(rng.random() < 0.5)
    slides = int(rng.integers(1, 3))
    carrier = int(rng.integers(slides))
    specs: list[PhantomSpec] = []
    for number in range(slides):
        tissue = _random_tissue(rng)
        specs.append(
            make(
                site,
                width=int(rng.integers(24, 31)) * 256,
                height=int(rng.integers(18, 23)) * 256,
                lesions=_random_lesions(rng, pieces=tissue.pieces) if tumour and number == carrier else (),
                artefacts=_random_artefacts(rng),
                tissue=tissue,
            )
        )
    truth, other = (
        (ReadCategory.MALIGNANT, ReadCategory.BENIGN) if tumour else (ReadCategory.BENIGN, ReadCategory.MALIGNANT)
    )
    wrong = bool(rng.random() < 0.2)
    if rng.random() < 0.08:
        return make_case(case_id, site, tuple(specs), None)
    note = "Invasive carcinoma." if (other if wrong else truth) is ReadCategory.MALIGNANT else "No malignancy seen."
    return make_case(case_id, site, tuple(specs), (other if wrong else truth, int(rng.integers(2, 6)), note))


def _random_lesions(rng: np.random.Generator, *, pieces: int) -> tuple[Lesion, ...]:
    patterns = tuple(GrowthPattern)
    return tuple(
        Lesion(
            float(rng.uniform(450, 1400)) / ((1 + number) * pieces**0.6),
            patterns[int(rng.integers(len(patterns)))],
            grade=int(rng.integers(1, 4)),
            density=float(rng.uniform(0.52, 0.7)),
        )
        for number in range(int(rng.integers(1, 3)))
    )


def _random_artefacts(rng: np.random.Generator) -> tuple[Artefact, ...]:
    kinds = tuple(ArtefactKind)
    count = int(rng.choice(4, p=(0.45, 0.3, 0.15, 0.1)))
    chosen = rng.choice(len(kinds), size=count, replace=False)
    return tuple(
        Artefact(
            kinds[int(index)],
            extent=float(rng.uniform(0.25, 0.6)),
            strength=float(rng.uniform(0.7, 1.3)),
            hue=float(rng.uniform(0, 1)),
        )
        for index in chosen
    )


def _random_tissue(rng: np.random.Generator) -> TissueMix:
    return TissueMix(
        pieces=int(rng.integers(1, 4)),
        fat=float(rng.uniform(0.1, 0.6)),
        ducts_per_mm2=float(rng.uniform(0.4, 1.2)),
        lobules_per_mm2=float(rng.uniform(0.2, 1.0)),
        aggregates_per_mm2=float(rng.uniform(0.1, 0.6)),
        cellularity=float(rng.uniform(0.7, 1.4)),
    )
