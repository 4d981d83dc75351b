"""A rule set as a value: which rules are on, from which probability a case is flagged, and the audit sample.

Rule sets are data, written as TOML. Each has a version, which every flag and every evaluation carries.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from core.domain import FlagKind
from core.errors import InputError

ANY = "*"
"""Stands for every model, or for every scheme."""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_KEYS = ("version", "title", "on", "abstain_band", "qc_limit", "audit_share", "audit_seed", "threshold")
_THRESHOLD_KEYS = ("model", "scheme", "cost", "reviews_a_day", "cases_a_day", "from_probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From which probability of discordance a read is flagged, for one model and one scheme.

    Given by cost (`cost` reviews for nothing are as bad as one missed case), by capacity, or as a probability.
    """

    model: str = ANY
    scheme: str = ANY
    """A reading scheme; `ANY` also serves reads in the three plain categories."""
    cost: float | None = None
    reviews_a_day: float | None = None
    """Capacity: so many of `cases_a_day` may be flagged. It becomes a probability when the set is activated."""
    cases_a_day: float | None = None
    from_probability: float | None = None

    @property
    def probability(self) -> float | None:
        """Probability of discordance from which a case is flagged; None = a capacity that no cohort has settled yet."""
        return 1 / (1 + self.cost) if self.cost is not None else self.from_probability

    @property
    def by_capacity(self) -> bool:
        """Whether it is what the department can review that sets the limit."""
        return self.reviews_a_day is not None

    @property
    def words(self) -> str:
        """What sets the limit, for a reason."""
        if self.cost is not None:
            return f"a missed case counts as {self.cost:g} reviews"
        if self.by_capacity:
            return f"{self.reviews_a_day:g} of {self.cases_a_day:g} cases a day can be reviewed"
        return "set by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Everything that decides on flags, in one version."""

    version: str
    title: str = ""
    on: frozenset[FlagKind] = frozenset(FlagKind)
    """Rules that are on, by the kind of flag they raise."""
    abstain_band: float = 0.04
    """A slide score nearer than this to the model's threshold is no call, 0-1."""
    qc_limit: float = 0.25
    """Share of the tissue carrying the call that may be artefact, 0-1."""
    audit_share: float = 0.0
    """Share of the unflagged cases that is drawn at random, 0-1."""
    audit_seed: int = 0
    thresholds: tuple[Threshold, ...] = ()
    """Where none fits, a read is flagged if the model is clear: outside the band around its card's threshold."""

    def __post_init__(self) -> None:
        problems = _problems(self)
        if problems:
            raise InputError(f"The rule set {self.version!r} cannot be used: {'; '.join(problems)}.")

    def threshold_for(self, *, model: str, scheme: str | None) -> Threshold | None:
        """Return the threshold for a model and the scheme of a read; the one that says most about them goes first.

        Tried in order: model and scheme, the model with any scheme, the scheme with any model, any of both.
        """
        for wanted in ((model, scheme or ANY), (model, ANY), (ANY, scheme or ANY), (ANY, ANY)):
            found = next((one for one in self.thresholds if (one.model, one.scheme) == wanted), None)
            if found is not None:
                return found
        return None


def parse_rules(text: str) -> RuleSet:
    """Return the rule set in a TOML text.

    Raises:
        InputError: it is no usable rule set; the sentence names every problem.
    """
    try:
        content: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise InputError(f"The rule set is not TOML: {err}.") from err
    unknown = sorted(set(content) - set(_KEYS))
    if unknown:
        raise InputError(f"The rule set has unknown keys: {', '.join(unknown)}. Known are {', '.join(_KEYS)}.")
    version = content.get("version")
    if not isinstance(version, str):
        raise InputError('The rule set needs a version as text, for example version = "2026-1".')
    return RuleSet(
        version=version,
        title=str(content.get("title", "")),
        on=_kinds(content.get("on")),
        abstain_band=_number(content, "abstain_band", 0.04),
        qc_limit=_number(content, "qc_limit", 0.25),
        audit_share=_number(content, "audit_share", 0.0),
        audit_seed=_whole(content, "audit_seed"),
        thresholds=tuple(_threshold(entry) for entry in _entries(content.get("threshold", []))),
    )


def rules_text(rules: RuleSet) -> str:
    """Return a rule set as TOML that `parse_rules` reads back."""
    on = ", ".join(f'"{kind.value}"' for kind in FlagKind if kind in rules.on)
    lines = [
        f"version = {_quoted(rules.version)}",
        f"title = {_quoted(rules.title)}",
        f"on = [{on}]",
        f"abstain_band = {rules.abstain_band!r}",
        f"qc_limit = {rules.qc_limit!r}",
        f"audit_share = {rules.audit_share!r}",
        f"audit_seed = {rules.audit_seed}",
    ]
    for one in rules.thresholds:
        lines += ["", "[[threshold]]", f"model = {_quoted(one.model)}", f"scheme = {_quoted(one.scheme)}"]
        for name in _THRESHOLD_KEYS[2:]:
            value = cast("float | None", getattr(one, name))
            lines += [] if value is None else [f"{name} = {value!r}"]
    return "\n".join(lines) + "\n"


def _problems(rules: RuleSet) -> list[str]:
    found: list[str] = []
    if not _VERSION.fullmatch(rules.version):
        found.append("its version needs 1 to 40 letters, digits, dots, dashes or underscores")
    for name in ("abstain_band", "qc_limit", "audit_share"):
        value = cast("float", getattr(rules, name))
        if not (math.isfinite(value) and 0 <= value <= 1):
            found.append(f"{name} is {value:g} and must lie between 0 and 1")
    places = [(one.model, one.scheme) for one in rules.thresholds]
    found += [
        f"model {m} and scheme {s} have two thresholds" for m, s in sorted(set(places)) if places.count((m, s)) > 1
    ]
    return found + [problem for one in rules.thresholds for problem in _problems_of(one)]


def _problems_of(one: Threshold) -> list[str]:
    where = f"the threshold of model {one.model} and scheme {one.scheme}"
    by_probability = one.from_probability is not None and not one.by_capacity
    if (one.cost is not None) + one.by_capacity + by_probability != 1:
        return [f"{where} needs either cost, or reviews_a_day with cases_a_day, or from_probability"]
    if one.by_capacity != (one.cases_a_day is not None):
        return [f"{where} needs reviews_a_day and cases_a_day together"]
    found: list[str] = []
    if one.cost is not None and not (math.isfinite(one.cost) and one.cost > 0):
        found.append(f"{where} has a cost of {one.cost:g}, which is not positive")
    if one.reviews_a_day is not None and one.cases_a_day is not None:
        ok = math.isfinite(one.cases_a_day) and 0 <= one.reviews_a_day <= one.cases_a_day and one.cases_a_day > 0
        found += [] if ok else [f"{where} allows {one.reviews_a_day:g} reviews of {one.cases_a_day:g} cases a day"]
    if one.from_probability is not None and not 0 <= one.from_probability <= 1:
        found.append(f"{where} starts at {one.from_probability:g}, which is no probability")
    return found


def _kinds(value: object) -> frozenset[FlagKind]:
    if value is None:
        return frozenset(FlagKind)
    known = {kind.value: kind for kind in FlagKind}
    words = [str(word) for word in cast("list[object]", value)] if isinstance(value, list) else ["(no list)"]
    wrong = [word for word in words if word not in known]
    if wrong:
        raise InputError(f"'on' names rules that there are not: {', '.join(wrong)}. There are {', '.join(known)}.")
    return frozenset(known[word] for word in words)


def _threshold(entry: Mapping[str, object]) -> Threshold:
    unknown = sorted(set(entry) - set(_THRESHOLD_KEYS))
    if unknown:
        raise InputError(f"A threshold has unknown keys: {', '.join(unknown)}.")
    numbers = {name: None if name not in entry else _number(entry, name, 0.0) for name in _THRESHOLD_KEYS[2:]}
    return Threshold(
        model=str(entry.get("model", ANY)),
        scheme=str(entry.get("scheme", ANY)),
        cost=numbers["cost"],
        reviews_a_day=numbers["reviews_a_day"],
        cases_a_day=numbers["cases_a_day"],
        from_probability=numbers["from_probability"],
    )


def _entries(value: object) -> tuple[Mapping[str, object], ...]:
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in entries):
        raise InputError("Thresholds are tables: write [[threshold]] above each.")
    return tuple(cast("Mapping[str, object]", entry) for entry in entries)


def _number(content: Mapping[str, object], key: str, default: float) -> float:
    value = content.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{key} is {value!r}; it must be a number.")
    return float(value)


def _whole(content: Mapping[str, object], key: str) -> int:
    value = content.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key} is {value!r}; it must be a whole number.")
    return value


def _quoted(text: str) -> str:
    """Return a TOML basic string: control characters, quotes and backslashes escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one >= " " and one != "\x7f" else f"\\u{ord(one):04x}" for one in escaped) + '"'
