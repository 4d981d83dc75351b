"""The limits by which a quality report becomes a suggestion: values that a laboratory may set, in versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from core.errors import InputError


@dataclass(frozen=True, slots=True)
class QcLimits:
    """One set of limits; all but `version` are shares of the slide's tissue, 0-1."""

    version: str = "qc-limits-1"
    """Name of the set, written into every report that it judged."""
    accept_usable: float = 0.9
    """Least usable share for a slide to be accepted."""
    exclude_usable: float = 0.2
    """Usable share below which nothing is left to read if the fault cannot be mended."""
    limitation_usable: float = 0.7
    """Least usable share for a slide to be accepted with a limitation; below it something is to be done again."""
    mention_share: float = 0.05
    """Share of one class from which it is a limitation of its own; also for classes that leave tissue usable."""
    restain_share: float = 0.5
    """Share of pale or over-stained tissue from which the slide is to be stained again."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "version":
                if not str(value).strip():
                    raise InputError("A set of quality limits needs a version name.")
            elif not 0 <= value <= 1:
                raise InputError(f"The limit {field.name} is a share of the tissue, 0 to 1; got {value:g}.")
        if not self.exclude_usable <= self.limitation_usable <= self.accept_usable:
            raise InputError(
                "The usable shares must ascend: exclude_usable, limitation_usable, accept_usable; got "
                f"{self.exclude_usable:g}, {self.limitation_usable:g}, {self.accept_usable:g}."
            )

    def to_dict(self) -> dict[str, str | float]:
        """Return plain values for JSON; `from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> QcLimits:
        """Read a set back.

        Raises:
            InputError: a limit is missing, unknown, no number or out of range.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            odd = ", ".join(sorted(set(values) ^ names))
            raise InputError(f"A set of quality limits has exactly {', '.join(sorted(names))}; missing or odd: {odd}.")
        try:
            numbers = {name: float(str(value)) for name, value in values.items() if name != "version"}
        except ValueError as err:
            raise InputError(f"A quality limit is no number: {err}.") from err
        return cls(version=str(values["version"]), **numbers)


DEFAULT_LIMITS = QcLimits()
