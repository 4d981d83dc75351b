"""The audit sample: a draw that depends on the case and the seed only, so that it is the same whenever it is made."""

from __future__ import annotations

import hashlib


def is_drawn(case_id: str, *, share: float, seed: int) -> bool:
    """Say whether a case belongs to a random sample.

    A hash of seed and case stands for the random number: cases can be added one by one, in any order, and the draw can
    be repeated by anybody who knows the seed.

    Args:
        case_id: The case.
        share: Of the cases that is drawn on average, 0-1.
        seed: Another seed draws another sample.
    """
    digest = hashlib.sha256(f"{seed}:{case_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
