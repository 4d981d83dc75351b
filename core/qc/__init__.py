"""Quality control in two steps: measure tiles as they pass, probe focus afterwards, then report.

`tile_qc` runs on the tiles that a model reads anyway; `focus_probe` looks into small windows of the same tiles at full
resolution and its result goes into the focus column; `qc_report` sums up.
"""

from core.qc.first_cut import (
    QC_VERSION,
    Artefact,
    Origin,
    QcPart,
    QcReport,
    artefact_of,
    qc_report,
    unusable,
)
from core.qc.focus import focus_probe, tile_focus
from core.qc.metrics import QC_COLUMNS, tile_qc

__all__ = [
    "QC_COLUMNS",
    "QC_VERSION",
    "Artefact",
    "Origin",
    "QcPart",
    "QcReport",
    "artefact_of",
    "focus_probe",
    "qc_report",
    "tile_focus",
    "tile_qc",
    "unusable",
]
