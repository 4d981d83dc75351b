"""What an audit of unflagged cases says about what was missed (Clopper and Pearson 1934, one-sided)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from core.errors import InputError
from core.shares import upper_bound


def miss_rate_bound(missed: int, audited: int, *, confidence: float = 0.95) -> float | None:
    """Return the highest miss rate that an audit leaves possible (one-sided Clopper-Pearson); None without an audit.

    No miss among 59, 149 or 299 audited cases bounds the rate at 5, 2 or 1 % with 95 % confidence.

    Raises:
        InputError: the counts or the confidence make no sense.
    """
    if not (0 <= missed <= audited and 0 < confidence < 1):
        raise InputError(f"{missed} missed of {audited} audited at confidence {confidence:g} is no audit.")
    return upper_bound(missed, audited, confidence=confidence) if audited else None


def audit_size(*, miss_rate: float, confidence: float = 0.95) -> int:
    """Return the least number of audited cases which, none of them missed, bounds the miss rate.

    Raises:
        InputError: the rate or the confidence lies outside 0 to 1.
    """
    if not (0 < miss_rate < 1 and 0 < confidence < 1):
        raise InputError(f"A miss rate of {miss_rate:g} at confidence {confidence:g} cannot be shown.")
    return math.ceil(math.log1p(-confidence) / math.log1p(-miss_rate) - 1e-9)


def audit_sample(case_ids: Sequence[str], *, size: int, seed: int) -> tuple[str, ...]:
    """Draw cases at random without replacement; the same ids, size and seed give the same sample in whatever order.

    Args:
        case_ids: Unflagged cases; doubles count once.
        size: How many to draw; all of them where there are fewer.
        seed: Written into the log beside the sample.
    """
    pool = sorted(set(case_ids))
    random = np.random.default_rng(seed)
    chosen = cast("list[int]", random.choice(len(pool), size=min(max(size, 0), len(pool)), replace=False).tolist())
    return tuple(sorted(pool[i] for i in chosen))
