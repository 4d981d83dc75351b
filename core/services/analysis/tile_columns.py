"""The columns of `tiles.parquet` that hold probabilities, and the names under which people choose among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.errors import NotFoundError

PROBABILITY = "prob_"
"""Column of one class; other programs know these columns by this beginning (WSInfer)."""

TARGET = "target_"
"""Column of the sum of the classes that the model looks for, where these are several."""

USABLE = "qc_usable"
"""Column of the share of a tile's tissue that no artefact makes unusable."""

ARTEFACT = "qc_artefact"
"""Column of the code of the class that spoils most of a tile's tissue; 0 for tiles that are usable."""

_PLUS = " + "


def target_name(positive_classes: Sequence[str]) -> str:
    """Return the name of what a model looks for: its class, or its classes added up."""
    return _PLUS.join(positive_classes)


def target_column(positive_classes: Sequence[str]) -> str | None:
    """Return the column that holds the target's probability beside those of the classes; None if a class does."""
    return None if len(positive_classes) == 1 else f"{TARGET}{target_name(positive_classes)}"


def probability_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return name -> column of all probabilities that can be shown: the classes, then their sum if there is one."""
    names = list(columns)
    return {
        name.removeprefix(prefix): name for prefix in (PROBABILITY, TARGET) for name in names if name.startswith(prefix)
    }


def column_of(name: str, *, columns: Iterable[str]) -> str:
    """Return the column of a name that `probability_columns` gave.

    Raises:
        NotFoundError: there is none of that name.
    """
    known = probability_columns(columns)
    if name not in known:
        raise NotFoundError(f"The tiles have no probability of {name!r}; they have {', '.join(known) or 'none'}.")
    return known[name]
