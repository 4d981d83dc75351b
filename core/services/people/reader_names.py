"""Names of readers for those who may not see the profile of another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from core.store.people import name_key
from core.store.records import DiagnosisRecord


def pseudonyms(reads: Sequence[DiagnosisRecord], *, scheme: str, actor: str) -> dict[str, str]:
    """Return the actor's own name and numbers for the others, in an order that neither names nor first reads tell."""
    others = sorted(
        {one.reader for one in reads if name_key(one.reader) != name_key(actor)},
        key=lambda name: hashlib.sha256(f"{scheme}:{name}".encode()).hexdigest(),
    )
    names = {name: f"reader {number}" for number, name in enumerate(others, start=1)}
    return {one.reader: names.get(one.reader, one.reader) for one in reads}
