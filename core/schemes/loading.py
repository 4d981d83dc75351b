"""Reading schemes from TOML, with every problem named."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

from core.domain import ReadCategory
from core.errors import InputError, NotFoundError
from core.schemes.scheme import Category, Scheme, Severity

_SHIPPED = Path(__file__).parent


def scheme_names() -> tuple[str, ...]:
    """Return the names of the shipped schemes."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


@cache  # the shipped files do not change, and every look at a case's evidence asks for all of them
def load_scheme(name: str) -> Scheme:
    """Return a shipped scheme.

    Raises:
        NotFoundError: there is none of that name.
    """
    if name not in scheme_names():
        raise NotFoundError(f"There is no reading scheme {name!r}. There are {', '.join(scheme_names())}.")
    return read_scheme(_SHIPPED / f"{name}.toml")


def read_scheme(path: Path) -> Scheme:
    """Return the scheme in a file; its name is the file's.

    Raises:
        InputError: the file cannot be read, or is no usable scheme; the sentence names every problem.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"The reading scheme {path} cannot be read. Give a TOML file in UTF-8.") from err
    return parse_scheme(text, name=path.stem)


def parse_scheme(text: str, *, name: str) -> Scheme:
    """Return the scheme in a TOML text.

    Raises:
        InputError: it is no usable scheme; the sentence names every problem.
    """
    try:
        content: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise InputError(f"The reading scheme {name!r} is not TOML: {err}.") from err
    return Scheme(
        name=name,
        title=_text(content, "title", where=name),
        source=_text(content, "source", where=name),
        version=_text(content, "version", where=name),
        categories=tuple(_category(entry, where=name) for entry in _list(content, "categories", where=name)),
        severities=tuple(_severities(row, where=name) for row in _list(content, "severity", where=name)),
    )


def _category(entry: object, *, where: str) -> Category:
    if not isinstance(entry, dict):
        raise InputError(f"A category of the reading scheme {where!r} is no table. Write [[categories]] above each.")
    values = cast("Mapping[str, object]", entry)
    unknown = set(values) - {"code", "title", "read", "aliases", "at_least"}
    if unknown:
        raise InputError(f"A category of the reading scheme {where!r} has unknown keys: {', '.join(sorted(unknown))}.")
    read = _text(values, "read", where=where)
    if read not in (ReadCategory.BENIGN.value, ReadCategory.MALIGNANT.value, ReadCategory.INDETERMINATE.value):
        raise InputError(f"{read!r} in the reading scheme {where!r} is none of benign, malignant, indeterminate.")
    aliases = values.get("aliases", [])
    if not isinstance(aliases, list):
        raise InputError(f"The aliases in the reading scheme {where!r} must be a list of words.")
    edge = values.get("at_least")
    if edge is not None and (isinstance(edge, bool) or not isinstance(edge, int | float)):
        raise InputError(f"'at_least' in the reading scheme {where!r} must be a number.")
    return Category(
        code=_text(values, "code", where=where),
        title=_text(values, "title", where=where),
        read=ReadCategory(read),
        aliases=tuple(str(alias) for alias in cast("list[object]", aliases)),
        at_least=None if edge is None else float(edge),
    )


def _severities(row: object, *, where: str) -> tuple[Severity, ...]:
    words = cast("list[object]", row) if isinstance(row, list) else list[object]()
    known = {severity.value: severity for severity in Severity}
    wrong = [repr(word) for word in words if word not in known]
    if not words or wrong:
        raise InputError(
            f"The severities of the reading scheme {where!r} must be rows of 'none', 'minor', 'major'; "
            f"got {', '.join(wrong) or 'a row that is no list'}."
        )
    return tuple(known[str(word)] for word in words)


def _text(values: Mapping[str, object], key: str, *, where: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"The reading scheme {where!r} needs {key!r} as text wherever it belongs.")
    return value.strip()


def _list(values: Mapping[str, object], key: str, *, where: str) -> Sequence[object]:
    value = values.get(key)
    if not isinstance(value, list) or not value:
        raise InputError(f"The reading scheme {where!r} needs a list {key!r}.")
    return cast("Sequence[object]", value)
