"""How far a model's result can be trusted: prediction sets, abstention, drift, and cases unlike the calibration."""

from core.uncertainty.conformal import (
    Calibration,
    Method,
    SetCounts,
    calibrate,
    count_sets,
    needed_cases,
    p_values,
    prediction_sets,
    size_warnings,
)

__all__ = [
    "Calibration",
    "Method",
    "SetCounts",
    "calibrate",
    "count_sets",
    "needed_cases",
    "p_values",
    "prediction_sets",
    "size_warnings",
]
