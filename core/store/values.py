"""How values are written into the log: times as text that sorts, JSON in one canonical form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import cast

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def utc_now() -> datetime:
    """Return the present time in UTC, to the microsecond."""
    return datetime.now(UTC)


def time_text(moment: datetime) -> str:
    """Return an aware time as text of fixed width in UTC, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_of(text: str) -> datetime:
    """Return the time that `time_text` wrote."""
    return datetime.fromisoformat(text)


def time_or_none(text: str | None) -> datetime | None:
    """Return the time that `time_text` wrote, or None for None."""
    return None if text is None else time_of(text)


def quoted(text: str) -> str:
    """Return a text as `canonical_json` writes it."""
    return encode_basestring(text)


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN, characters unescaped."""
    return _ENCODER.encode(value)


def json_object(text: str) -> Mapping[str, object]:
    """Return the JSON object in `text`."""
    return cast("Mapping[str, object]", json.loads(text))
