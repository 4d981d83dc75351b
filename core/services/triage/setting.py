"""How much is looked at again: so many cases, a share of the waiting ones, or by what a missed case costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from core.errors import InputError


class SettingKind(StrEnum):
    """What the slider of the board means."""

    CASES = "cases"
    """So many cases a day."""
    SHARE = "share"
    """This share of the waiting cases, 0-1."""
    COST = "cost"
    """A missed case is as bad as so many reviews that changed nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One position of the slider."""

    kind: SettingKind
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value < 0:
            raise InputError(f"{self.value:g} is no setting of the triage board; give a number of 0 or more.")
        if self.kind is SettingKind.SHARE and self.value > 1:
            raise InputError(f"The flag rate is {self.value:g}; it must lie between 0 and 1.")
        if self.kind is SettingKind.CASES and self.value != int(self.value):
            raise InputError(f"{self.value:g} cases a day cannot be reviewed; give a whole number.")
        if self.kind is SettingKind.COST and self.value == 0:
            raise InputError("A missed case must cost more than nothing.")

    @property
    def text(self) -> str:
        """The setting for an address: `cases-8`, `share-0.2`, `cost-12`."""
        return f"{self.kind.value}-{self.value:g}"

    @property
    def words(self) -> str:
        """The setting in words."""
        if self.kind is SettingKind.CASES:
            return f"{self.value:g} cases a day"
        if self.kind is SettingKind.SHARE:
            return f"{self.value:.0%} of the waiting cases"
        return f"a missed case counts as {self.value:g} reviews"


def parse_setting(text: str) -> Setting:
    """Return the setting in an address.

    Raises:
        InputError: it is none.
    """
    kind, _, value = text.partition("-")
    try:
        return Setting(SettingKind(kind), float(value))
    except ValueError as err:
        raise InputError(
            f"{text!r} is no setting of the triage board. Write for example cases-8, share-0.2 or cost-12."
        ) from err
