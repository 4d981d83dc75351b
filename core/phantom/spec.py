"""What a phantom slide is made of: plain values. The same spec always gives the same pixels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from core.domain import Size, Stain

RENDER_VERSION = "phantom-1"
"""Goes into the spec's hash: raised whenever the same spec would give other pixels."""


class GrowthPattern(StrEnum):
    """How the tumour cells of a lesion are arranged."""

    SOLID = "solid"
    CORDS = "cords"
    TUBULES = "tubules"


class ArtefactKind(StrEnum):
    """What can be planted, in the words used in the truth file."""

    BLUR = "blur"
    FOLD = "fold"
    PEN = "pen"
    BUBBLE = "bubble"
    DUST = "dust"
    TEAR = "tear"
    PALE = "pale"


@dataclass(frozen=True, slots=True)
class Lesion:
    """One planted tumour. It is put where tissue is thick enough; its outline is irregular."""

    diameter_um: float
    """Diameter of the disc of the same area."""
    pattern: GrowthPattern = GrowthPattern.SOLID
    grade: int = 2
    """1 to 3: nuclei grow larger, darker and more irregular."""
    density: float = 0.6
    """Share of the lesion's area that is tumour cells; the rest is desmoplastic stroma."""

    def __post_init__(self) -> None:
        if self.diameter_um <= 0 or not 1 <= self.grade <= 3 or not 0 < self.density < 1:
            raise ValueError(f"Not a lesion: {self}. Diameter > 0, grade 1 to 3, density between 0 and 1.")


@dataclass(frozen=True, slots=True)
class Artefact:
    """One planted artefact."""

    kind: ArtefactKind
    extent: float = 0.3
    """Size as a share of the slide's shorter side (diameter, or length of a line)."""
    strength: float = 1.0
    """1 is what a laboratory would reject; blur, fold, pale stain and ink scale with it."""
    hue: float = 0.62
    """Colour of pen ink on the colour circle, 0-1: 0 red, 0.33 green, 0.62 blue. A negative value is black ink."""
    whole_slide: bool = False
    """Blur and pale stain only: all of the slide instead of a part."""

    def __post_init__(self) -> None:
        if not 0 < self.extent <= 2 or self.strength <= 0:
            raise ValueError(f"Not an artefact: {self}. Extent between 0 and 2, strength above 0.")
        if self.whole_slide and self.kind not in (ArtefactKind.BLUR, ArtefactKind.PALE):
            raise ValueError(f"Only blur and pale stain can cover a whole slide, not {self.kind}.")


@dataclass(frozen=True, slots=True)
class TissueMix:
    """Composition of the benign tissue. Densities are per mm2 of tissue."""

    pieces: int = 1
    """Separate tissue pieces, 1 to 3."""
    fat: float = 0.35
    """Share of the tissue that is adipose."""
    ducts_per_mm2: float = 0.8
    lobules_per_mm2: float = 0.5
    aggregates_per_mm2: float = 0.3
    """Lymphocyte aggregates."""
    vessels_per_mm2: float = 1.5
    cellularity: float = 1.0
    """Multiplies the number of stromal nuclei."""

    def __post_init__(self) -> None:
        if not 1 <= self.pieces <= 3 or not 0 <= self.fat <= 0.9:
            raise ValueError(f"Not a tissue composition: {self}. Pieces 1 to 3, fat 0 to 0.9.")


@dataclass(frozen=True, slots=True)
class ScannerLook:
    """How a laboratory's stain and scanner colour a slide."""

    name: str
    haematoxylin: float = 1.0
    """Multiplies the amount of haematoxylin."""
    eosin: float = 1.0
    violet: float = 0.5
    """0 to 1: hue of haematoxylin from blue to violet."""
    glass: tuple[int, int, int] = (243, 243, 243)
    """RGB of empty glass."""
    jpeg_quality: int = 80


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """One phantom slide."""

    seed: int
    size_px: Size
    """Level-0 pixels."""
    mpp: float = 0.5
    """um per level-0 pixel, x and y."""
    stain: Stain = Stain.HE
    lesions: tuple[Lesion, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    tissue: TissueMix = field(default_factory=TissueMix)
    scanner: ScannerLook = field(default_factory=lambda: ScannerLook("A"))
    write_mpp: bool = True
    """False leaves the scale out of the file, as some exports do: the user has to give it."""

    def __post_init__(self) -> None:
        if self.stain is Stain.UNKNOWN:
            raise ValueError("A phantom is H&E or IHC; its stain cannot be unknown.")
        if not 0.2 <= self.mpp <= 4:
            raise ValueError(f"A phantom can be rendered at 0.2 to 4 um/px, not {self.mpp:g}.")

    @property
    def hash(self) -> str:
        """SHA-256 over the spec and the renderer's version: equal hashes mean equal pixels."""
        text = json.dumps({"render": RENDER_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
