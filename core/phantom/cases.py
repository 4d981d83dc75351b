"""Cases of phantom slides with a first reader's diagnosis; the demonstration's eleven of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    ScannerLook("Scanner C", haematoxylin=0.93, eosin=1.03, violet=0.95, glass=(241, 242, 243)),
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


class SpecBuilder:
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
            scanner=self._look(site),
            write_mpp=write_mpp,
        )

    def _look(self, site: str) -> ScannerLook:
        """Return the site's scanner with the day's staining."""
        rng = np.random.default_rng([self._seed, self._count, 11])
        look = SCANNERS[SITES.index(site)]
        return replace(
            look,
            haematoxylin=look.haematoxylin * float(rng.uniform(0.88, 1.14)),
            eosin=look.eosin * float(rng.uniform(0.86, 1.2)),
        )


def make_case(
    case_id: str,
    site: str,
    specs: tuple[PhantomSpec | None, ...],
    diagnosis: tuple[ReadCategory, int, str] | None,
) -> DemoCase:
    """Return a case; slides are named A, B, ... after it, None is a damaged file, no diagnosis means not read yet."""
    slides = tuple(
        DemoSlide(f"{case_id}-{chr(65 + index)}.{'tif' if spec else 'svs'}", spec.stain if spec else Stain.HE, spec)
        for index, spec in enumerate(specs)
    )
    category, confidence, note = diagnosis or (None, None, "")
    scanner = SCANNERS[SITES.index(site)].name
    return DemoCase(case_id, site, scanner, slides, category, confidence, note)


def demo_cohort(seed: int = DEMO_SEED) -> tuple[DemoCase, ...]:
    """Return the demonstration: eleven cases, fifteen slides, each there for a reason that its comment names."""
    make = SpecBuilder(seed).spec
    benign, malignant = ReadCategory.BENIGN, ReadCategory.MALIGNANT
    kind = ArtefactKind
    fatty, fibrous = TissueMix(pieces=2, fat=0.55), TissueMix(pieces=1, fat=0.2, lobules_per_mm2=0.9)
    tiny = Lesion(260, GrowthPattern.CORDS, grade=1, density=0.3)
    quiet = TissueMix(fat=0.45, lobules_per_mm2=0.1, aggregates_per_mm2=0.05)
    big = Lesion(1500, GrowthPattern.SOLID, grade=3, density=0.66)
    return (
        # Agreement on a large carcinoma; a second slide of its margin with a fold.
        make_case(
            "SR-0101",
            "North",
            (make("North", lesions=(big,)), make("North", tissue=fatty, artefacts=(Artefact(kind.FOLD, extent=0.75),))),
            (malignant, 5, "Invasive carcinoma, one slide; the other without tumour."),
        ),
        # Agreement on benign tissue.
        make_case("SR-0102", "Harbour", (make("Harbour", tissue=fibrous),), (benign, 4, "Fibrocystic change.")),
        # The missed focal tumour: a small nest on the second of two slides, read as benign.
        make_case(
            "SR-0103",
            "Harbour",
            (
                make("Harbour", tissue=TissueMix(pieces=3, fat=0.35)),
                make("Harbour", lesions=(Lesion(620, GrowthPattern.CORDS, grade=2, density=0.6),), tissue=fibrous),
            ),
            (benign, 4, "No evidence of malignancy."),
        ),
        # The over-call: crowded benign lobules and lymphocytes, read as malignant.
        make_case(
            "SR-0104",
            "Harbour",
            (make("Harbour", tissue=TissueMix(fat=0.3, lobules_per_mm2=0.75, aggregates_per_mm2=0.4)),),
            (malignant, 2, "Suspicious small glands, favour invasive carcinoma."),
        ),
        # Too blurred to judge.
        make_case(
            "SR-0105",
            "Valley",
            (make("Valley", lesions=(big,), artefacts=(Artefact(kind.BLUR, whole_slide=True, strength=1.5),)),),
            (malignant, 3, "Carcinoma; scan of poor quality."),
        ),
        # A file that cannot be read beside one that can.
        make_case(
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
        make_case(
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
        make_case(
            "SR-0108",
            "Valley",
            (make("Valley", artefacts=(Artefact(kind.PALE, whole_slide=True),), write_mpp=False),),
            (benign, 3, "Pale section, no atypia seen."),
        ),
        # Agreement on a tumour in two pieces, with a bubble and an out-of-focus corner.
        make_case(
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
        make_case("SR-0110", "Valley", (make("Valley", lesions=(Lesion(1050, grade=2),)),), None),
        # The model's miss: a focus too small for its tiles, found by the reader. Without a wrong flag no story is true.
        make_case(
            "SR-0111",
            "North",
            (make("North", width=4608, height=3584, lesions=(tiny,), tissue=quiet),),
            (malignant, 4, "Focus of low-grade carcinoma, 0.3 mm."),
        ),
    )


DEMO_COHORT = demo_cohort()
