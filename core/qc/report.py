"""What is wrong with a slide, how much tissue that is, one score with its formula, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

from core.qc.classes import ARTEFACTS, ArtefactClass
from core.qc.limits import DEFAULT_LIMITS
from core.vocabulary import QcDisposition, QcOrigin, QcReason

QC_VERSION = "qc-2"
FORMULA = (
    "1 minus the share of tissue out of focus, folded, under pen, in a bubble or at the coverslip's edge, under dust "
    "or damaged, minus half the share pale or over-stained; a point of tissue counts once."
)


@dataclass(frozen=True, slots=True)
class ClassArea:
    """Tissue in one artefact class."""

    mm2: float
    fraction_of_tissue: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Tissue on which network and detectors differ about one class, mm2."""

    name: str
    """Of the `ArtefactClass`."""
    both_mm2: float
    """Found by both."""
    network_only_mm2: float
    detector_only_mm2: float


@dataclass(frozen=True, slots=True)
class StainFacts:
    """The stain of a slide, by colour deconvolution."""

    kind: str
    """What the colours look like: "he" or "ihc"; "unknown" with too little tissue to tell."""
    method: str
    """"macenko" where the vectors were estimated from this slide, "ruifrok" where the published ones had to do."""
    names: tuple[str, ...] = ()
    """Of the two dyes, e.g. haematoxylin and eosin."""
    vectors: tuple[tuple[float, float, float], ...] = ()
    """Unit vectors of optical density in R, G, B, one a dye."""
    angle_degrees: float | None = None
    """Between the two vectors."""
    concentrations: tuple[float, ...] = ()
    """99th percentile of each dye's amount in tissue, in optical density along its vector."""


@dataclass(frozen=True, slots=True)
class QcReport:
    """Quality of one slide. The method may change with `version`; these fields stay."""

    score: float
    """0 (nothing usable) to 1 (no artefact found)."""
    tissue_mm2: float
    """All tissue: what the mask shows and what lies under pen or other artefacts that hide it."""
    usable_mm2: float
    """Tissue that no artefact makes unusable; badly stained tissue is usable."""
    usable_fraction: float
    classes: Mapping[str, ClassArea]
    """Every class, clean first, also those without area; the areas sum to `tissue_mm2`."""
    sections: int
    """Separate pieces of tissue."""
    disposition: QcDisposition
    """Suggested; a person decides."""
    reason: QcReason | None
    """The main fault, in the words of a verdict; None without one."""
    origin: QcOrigin | None
    """Where the main fault came into being."""
    explanation: str
    """The suggestion in one sentence with its figures."""
    stain: StainFacts
    disagreements: tuple[Disagreement, ...] = ()
    """One a class; empty where no network ran."""
    measures: Mapping[str, float] = field(default_factory=dict[str, float])
    """Measures of the whole slide, such as brightness and compression; see `core.qc.slide_measures`."""
    warnings: tuple[str, ...] = ()
    um_per_px: float = 0.0
    """Scale of the artefact map that was summed up."""
    network: str = ""
    """Name and weights of the network that took part; empty if only detectors did."""
    formula: str = FORMULA
    limits: str = DEFAULT_LIMITS.version
    """Version of the limits that the suggestion follows."""
    version: str = QC_VERSION

    def artefacts(self) -> tuple[tuple[ArtefactClass, ClassArea], ...]:
        """Return the artefact classes (not clean) with their areas, in the fixed order."""
        return tuple((kind, self.classes[kind.value]) for kind in ARTEFACTS)

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON; `from_dict` is the way back."""
        return {
            "score": self.score,
            "tissue_mm2": self.tissue_mm2,
            "usable_mm2": self.usable_mm2,
            "usable_fraction": self.usable_fraction,
            "classes": {name: asdict(area) for name, area in self.classes.items()},
            "sections": self.sections,
            "disposition": self.disposition.value,
            "reason": None if self.reason is None else self.reason.value,
            "origin": None if self.origin is None else self.origin.value,
            "explanation": self.explanation,
            "stain": {
                "kind": self.stain.kind,
                "method": self.stain.method,
                "names": list(self.stain.names),
                "vectors": [list(vector) for vector in self.stain.vectors],
                "angle_degrees": self.stain.angle_degrees,
                "concentrations": list(self.stain.concentrations),
            },
            "disagreements": [asdict(part) for part in self.disagreements],
            "measures": dict(self.measures),
            "warnings": list(self.warnings),
            "um_per_px": self.um_per_px,
            "network": self.network,
            "formula": self.formula,
            "limits": self.limits,
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> QcReport:
        """Read a report back; keys that others added are ignored.

        Raises:
            ValueError: a field is missing or holds something else than it should.
        """
        try:
            return _read(values)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise ValueError(
                f"This is no quality report of version {QC_VERSION} ({err}). Run quality control on the slide again."
            ) from err


def _read(values: Mapping[str, object]) -> QcReport:
    classes = cast("Mapping[str, Mapping[str, float]]", values["classes"])
    stain = cast("Mapping[str, object]", values["stain"])
    vectors = cast("list[list[float]]", stain["vectors"])
    reason, origin, angle = values["reason"], values["origin"], stain["angle_degrees"]
    return QcReport(
        score=float(str(values["score"])),
        tissue_mm2=float(str(values["tissue_mm2"])),
        usable_mm2=float(str(values["usable_mm2"])),
        usable_fraction=float(str(values["usable_fraction"])),
        classes={
            kind.value: ClassArea(float(classes[kind]["mm2"]), float(classes[kind]["fraction_of_tissue"]))
            for kind in ArtefactClass
        },
        sections=int(str(values["sections"])),
        disposition=QcDisposition(str(values["disposition"])),
        reason=None if reason is None else QcReason(str(reason)),
        origin=None if origin is None else QcOrigin(str(origin)),
        explanation=str(values["explanation"]),
        stain=StainFacts(
            kind=str(stain["kind"]),
            method=str(stain["method"]),
            names=tuple(cast("list[str]", stain["names"])),
            vectors=tuple((float(r), float(g), float(b)) for r, g, b in vectors),
            angle_degrees=None if angle is None else float(str(angle)),
            concentrations=tuple(map(float, cast("list[float]", stain["concentrations"]))),
        ),
        disagreements=tuple(
            Disagreement(
                str(part["name"]),
                float(str(part["both_mm2"])),
                float(str(part["network_only_mm2"])),
                float(str(part["detector_only_mm2"])),
            )
            for part in cast("list[Mapping[str, object]]", values["disagreements"])
        ),
        measures={name: float(value) for name, value in cast("Mapping[str, float]", values["measures"]).items()},
        warnings=tuple(map(str, cast("list[object]", values["warnings"]))),
        um_per_px=float(str(values["um_per_px"])),
        network=str(values["network"]),
        formula=str(values["formula"]),
        limits=str(values["limits"]),
        version=str(values["version"]),
    )
