"""What looking again buys: flag rate against found and missed discordances, thresholds, benefit and audits.

A "discordance" is a case in which a second look would change the diagnosis; `truth` says which cases those are, as far
as anybody looked. Everything here is pure.
"""

from core.shares import Share, wilson
from core.triage.audit import audit_sample, audit_size, miss_rate_bound
from core.triage.calibration import FEWEST_CASES, FEWEST_OF_EACH, DiscordanceCalibration, calibrated, fit_discordance
from core.triage.curve import (
    ExpectedTriage,
    TriagePoint,
    expected_triage,
    triage_at_count,
    triage_at_rate,
    triage_curve,
)
from core.triage.thresholds import (
    break_even_cost,
    cost_of,
    decision_probability,
    expected_benefit,
    threshold_for_capacity,
    threshold_for_cost,
)

__all__ = [
    "FEWEST_CASES",
    "FEWEST_OF_EACH",
    "DiscordanceCalibration",
    "ExpectedTriage",
    "Share",
    "TriagePoint",
    "audit_sample",
    "audit_size",
    "break_even_cost",
    "calibrated",
    "cost_of",
    "decision_probability",
    "expected_benefit",
    "expected_triage",
    "fit_discordance",
    "miss_rate_bound",
    "threshold_for_capacity",
    "threshold_for_cost",
    "triage_at_count",
    "triage_at_rate",
    "triage_curve",
    "wilson",
]
