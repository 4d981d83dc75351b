"""Settings: one frozen value, read once at the edges (command line, dashboard, worker) and passed down."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InputError

HOME_VARIABLE = "SECOND_READ_HOME"
DEFAULT_MODEL = "idc"


@dataclass(frozen=True, slots=True)
class TissueSettings:
    """How tissue is told from glass."""

    mpp: float = 16.0
    """um/px at which the mask is made: coarse enough for a whole slide in memory, finer than any tile."""
    min_speck_um2: float = 20_000.0
    """Pieces smaller than this (about 160 um across) are dust, not tissue."""
    max_hole_um2: float = 15_000.0
    """Holes smaller than this (gland lumina, cracks) are closed."""


@dataclass(frozen=True, slots=True)
class FlagSettings:
    """Limits of the flag rules. `version` is written into every flag that they raise."""

    version: str = "flags-1"
    abstain_band: float = 0.04
    """A slide score nearer than this to the model's threshold (which stands in its card) is no call."""
    qc_limit: float = 0.25
    """Share of the tissue carrying the call that may be artefact before the call is limited."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with the defaults a first user gets."""

    home: Path
    """Folder of the log and the results; slides stay where they are."""
    model: str = DEFAULT_MODEL
    """Name of the model card used when none is named."""
    device: str = "auto"
    """auto (CUDA, then CPU) | cpu | cuda."""
    batch_size: int = 32
    """Tiles per forward pass; halved when the device runs out of memory."""
    read_threads: int = 2
    """Threads that decode tiles while the network computes."""
    stride_um: float | None = None
    """Step from tile to tile in um; None = the model's tile size, so that tiles neither overlap nor leave gaps."""
    aggregators: tuple[str, ...] = ()
    """Trained aggregators that score every slide besides the rules: names below `aggregators_dir`, or paths."""
    decision: str = ""
    """What decides a slide: "" = the default rule with the model card's threshold; the name of an active aggregator,
    with its own threshold; or RULE:THRESHOLD, since no card states a threshold for another rule."""
    min_tissue_fraction: float = 0.25
    """Tiles with less tissue than this are dropped and counted as background."""
    upload_limit_mib: int = 200
    """Largest file the dashboard accepts as an upload; larger slides are added by their path."""
    heartbeat_s: float = 2.0
    """How often a worker says that it is alive."""
    stale_after_s: float = 15.0
    """Silence after which a running job is taken back from a dead worker."""
    tissue: TissueSettings = field(default_factory=TissueSettings)
    flags: FlagSettings = field(default_factory=FlagSettings)

    @property
    def log_path(self) -> Path:
        """The SQLite file with the append-only log."""
        return self.home / "log.db"

    @property
    def results_dir(self) -> Path:
        """Root of `<slide-id>/<run-id>/` folders."""
        return self.home / "results"

    @property
    def aggregators_dir(self) -> Path:
        """Where trained aggregators are kept, one folder a name."""
        return self.home / "aggregators"

    @property
    def uploads_dir(self) -> Path:
        """Where uploaded slides are kept."""
        return self.home / "uploads"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Build settings from `SECOND_READ_*` variables.

        Raises:
            InputError: a variable holds something that cannot be used; the sentence names it.
        """
        home = Path(environ.get(HOME_VARIABLE) or "second-read-data").expanduser().absolute()
        return cls(
            home=home,
            model=environ.get("SECOND_READ_MODEL", DEFAULT_MODEL),
            device=_choice(environ, "SECOND_READ_DEVICE", ("auto", "cpu", "cuda")),
            batch_size=_positive_int(environ, "SECOND_READ_BATCH_SIZE", 32),
            stride_um=_positive_um(environ, "SECOND_READ_STRIDE_UM"),
            read_threads=_positive_int(environ, "SECOND_READ_READ_THREADS", 2),
            aggregators=tuple(filter(None, map(str.strip, environ.get("SECOND_READ_AGGREGATORS", "").split(",")))),
            decision=environ.get("SECOND_READ_DECISION", "").strip(),
        )


def _choice(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = environ.get(name, allowed[0])
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    return value


def _positive_int(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise InputError(f"{name} is {value!r}; it must be a whole number of at least 1.")
    return int(value)


def _positive_um(environ: Mapping[str, str], name: str) -> float | None:
    value = environ.get(name)
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} is {value!r}; it must be a positive number of micrometres.")
    return number
