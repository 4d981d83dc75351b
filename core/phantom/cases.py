"""Cohorts of phantom cases: the demonstration's story, and arbitrary seeded cohorts for evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.domain import ReadCategory, Size, Stain
from core.phantom.spec import (
    Artefact,
    ArtefactKind,
    GrowthPattern,
    Lesion,
    PhantomSpec,
    ScannerLook,
    TissueMix,
)

DEMO_SEED = 2026
READER = "dr.first"
"""Pseudonym under which the seeded diagnoses are recorded."""

SCANNERS = (
    ScannerLook("Scanner A", violet=0.85),
    ScannerLook("Scanner B", haematoxylin=1.08, eosin=1.12, violet=1.0, glass=(246, 244, 245)),
    ScannerLook("Scanner C", haematoxylin=0.92, eosin=0.9, violet=0.9, glass=(240, 241, 243)),
)
SITES = ("North", "Harbour", "Valley")
"""Each site scans with the scanner of the same position."""


@dataclass(frozen=True, slots=True)
class DemoSlide:
    """One slide of a cohort."""

    file_name: str
    stain: Stain
    spec: PhantomSpec | None
    """None: a damaged file that no reader opens."""


@dataclass(frozen=True, slots=True)
class DemoCase:
    """One case with the diagnosis that a first reader is said to have recorded."""

    case_id: str
    site: str
    scanner: str
    slides: tuple[DemoSlide, ...]
    diagnosis: ReadCategory | None
    """None: not read yet."""
    confidence: int | None
    """1 to 5."""
    note: str
    reader: str = READER

    @property
    def has_tumour(self) -> bool:
        """True if a tumour was planted on any slide of the case."""
        return any(slide.spec is not None and bool(slide.spec.lesions) for slide in self.slides)


class _Builder:
    """Numbers the slides of a cohort and derives their seeds."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def spec(
        self,
        site: str,
        *,
        width: int = 6656,
        height: int = 5120,
        lesions: tuple[Lesion, ...] = (),
        artefacts: tuple[Artefact, ...] = (),
        tissue: TissueMix | None = None,
        stain: Stain = Stain.HE,
        write_mpp: bool = True,
        next_section: bool = False,
    ) -> PhantomSpec:
        """Return the next slide's spec; `next_section` keeps the tissue of the slide before."""
        self._count += not next_section
        return PhantomSpec(
            seed=self._seed * 1000 + self._count,
            size_px=Size(width, height),
            stain=stain,
            lesions=lesions,
            artefacts=artefacts,
            tissue=tissue or TissueMix(),
            scanner=SCANNERS[SITES.index(site)],
            write_mpp=write_mpp,
        )


def _case(
    case_id: str,
    site: str,
    specs: tuple[PhantomSpec | None, ...],
    diagnosis: tuple[ReadCategory, int, str] | None,
) -> DemoCase:
    slides = tuple(
        DemoSlide(f"{case_id}-{chr(65 + index)}.{'tif' if spec else 'svs'}", spec.stain if spec else Stain.HE, spec)
        for index, spec in enumerate(specs)
    )
    category, confidence, note = diagnosis or (None, None, "")
    scanner = SCANNERS[SITES.index(site)].name
    return DemoCase(case_id, site, scanner, slides, category, confidence, note)


def demo_cohort(seed: int = DEMO_SEED) -> tuple[DemoCase, ...]:
    """Return the demonstration: ten cases, fourteen slides, each there for a reason that its comment names."""
    make = _Builder(seed).spec
    benign, malignant = ReadCategory.BENIGN, ReadCategory.MALIGNANT
    kind = ArtefactKind
    fatty, fibrous = TissueMix(pieces=2, fat=0.55), TissueMix(pieces=1, fat=0.2, lobules_per_mm2=0.9)
    big = Lesion(1500, GrowthPattern.SOLID, grade=3, density=0.66)
    return (
        # Agreement on a large carcinoma; a second slide of its margin with a fold.
        _case(
            "SR-0101",
            "North",
            (make("North", lesions=(big,)), make("North", tissue=fatty, artefacts=(Artefact(kind.FOLD, extent=0.75),))),
            (malignant, 5, "Invasive carcinoma, one slide; the other without tumour."),
        ),
        # Agreement on benign tissue.
        _case("SR-0102", "Harbour", (make("Harbour", tissue=fibrous),), (benign, 4, "Fibrocystic change.")),
        # The missed focal tumour: a small nest on the second of two slides, read as benign.
        _case(
            "SR-0103",
            "Harbour",
            (
                make("Harbour", tissue=TissueMix(pieces=3, fat=0.35)),
                make("Harbour", lesions=(Lesion(620, GrowthPattern.CORDS, grade=2, density=0.6),), tissue=fibrous),
            ),
            (benign, 4, "No evidence of malignancy."),
        ),
        # The over-call: crowded benign lobules and lymphocytes, read as malignant.
        _case(
            "SR-0104",
            "Valley",
            (make("Valley", tissue=TissueMix(fat=0.3, lobules_per_mm2=0.9, aggregates_per_mm2=0.6)),),
            (malignant, 2, "Suspicious small glands, favour invasive carcinoma."),
        ),
        # Too blurred to judge.
        _case(
            "SR-0105",
            "Valley",
            (make("Valley", lesions=(big,), artefacts=(Artefact(kind.BLUR, whole_slide=True, strength=1.5),)),),
            (malignant, 3, "Carcinoma; scan of poor quality."),
        ),
        # A file that cannot be read beside one that can.
        _case(
            "SR-0106",
            "North",
            (
                make(
                    "North", tissue=fatty, artefacts=(Artefact(kind.DUST, extent=0.8), Artefact(kind.TEAR, extent=0.5))
                ),
                None,
            ),
            (benign, 5, "Adipose and fibrous tissue only."),
        ),
        # H&E with its IHC; pen on the glass.
        _case(
            "SR-0107",
            "North",
            (
                make(
                    "North",
                    lesions=(Lesion(1150, GrowthPattern.TUBULES, grade=1, density=0.62),),
                    artefacts=(Artefact(kind.PEN, extent=0.5, hue=0.36),),
                ),
                make(
                    "North",
                    lesions=(Lesion(1150, GrowthPattern.TUBULES, grade=1, density=0.62),),
                    stain=Stain.IHC,
                    next_section=True,
                ),
            ),
            (malignant, 4, "Tubular carcinoma, oestrogen receptor positive."),
        ),
        # Pale stain; the export left the scale out, so the manifest gives it.
        _case(
            "SR-0108",
            "Valley",
            (make("Valley", artefacts=(Artefact(kind.PALE, whole_slide=True),), write_mpp=False),),
            (benign, 3, "Pale section, no atypia seen."),
        ),
        # Agreement on a tumour in two pieces, with a bubble and an out-of-focus corner.
        _case(
            "SR-0109",
            "Harbour",
            (
                make(
                    "Harbour",
                    lesions=(Lesion(900, GrowthPattern.CORDS, grade=3, density=0.64), Lesion(520, grade=3)),
                    tissue=TissueMix(pieces=2, fat=0.3),
                    artefacts=(Artefact(kind.BUBBLE, extent=0.3), Artefact(kind.BLUR, extent=0.35)),
                ),
            ),
            (malignant, 5, "Invasive carcinoma, two foci."),
        ),
        # Not read yet.
        _case("SR-0110", "Valley", (make("Valley", lesions=(Lesion(1050, grade=2),)),), None),
    )


DEMO_COHORT = demo_cohort()


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
    make = _Builder(seed).spec
    return tuple(_random_case(rng, make, f"SR-{1001 + number}") for number in range(cases))


def _random_case(rng: np.random.Generator, make, case_id: str) -> DemoCase:
    site = SITES[int(rng.integers(len(SITES)))]
    tumour = bool(rng.random() < 0.5)
    slides = int(rng.integers(1, 3))
    carrier = int(rng.integers(slides))
    specs = tuple(
        make(
            site,
            width=int(rng.integers(24, 31)) * 256,
            height=int(rng.integers(18, 23)) * 256,
            lesions=_random_lesions(rng) if tumour and number == carrier else (),
            artefacts=_random_artefacts(rng),
            tissue=_random_tissue(rng),
        )
        for number in range(slides)
    )
    truth, other = (
        (ReadCategory.MALIGNANT, ReadCategory.BENIGN) if tumour else (ReadCategory.BENIGN, ReadCategory.MALIGNANT)
    )
    wrong = bool(rng.random() < 0.2)
    if rng.random() < 0.08:
        return _case(case_id, site, specs, None)
    note = "Invasive carcinoma." if (other if wrong else truth) is ReadCategory.MALIGNANT else "No malignancy seen."
    return _case(case_id, site, specs, (other if wrong else truth, int(rng.integers(2, 6)), note))


def _random_lesions(rng: np.random.Generator) -> tuple[Lesion, ...]:
    patterns = tuple(GrowthPattern)
    return tuple(
        Lesion(
            float(rng.uniform(450, 1400)) / (1 + number),
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
