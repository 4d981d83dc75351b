"""Model cards as files: read with every mistake named at once, written so that they read back equal."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from core.domain import Stain
from core.errors import ModelError, NotFoundError
from models.card_types import CARD_CHECKS, MEMBER_CHECKS, Channels, Member, Metrics, ModelCard, contradictions

__all__ = [
    "SHIPPED",
    "Channels",
    "Member",
    "Metrics",
    "ModelCard",
    "list_cards",
    "load_card",
    "read_card",
    "sha256_of_file",
    "write_card",
]

SHIPPED = Path(__file__).resolve().parent
"""Root of the models that come with the program. A training run's output folder is a root as well."""


def list_cards(*, root: Path = SHIPPED) -> tuple[ModelCard, ...]:
    """Return all cards below a root, sorted by name. Needs no torch, so the dashboard can show them.

    Raises:
        ModelError: a card cannot be used.
    """
    return tuple(read_card(path) for path in sorted((root / "cards").glob("*.toml")))


def load_card(name: str, *, root: Path = SHIPPED) -> ModelCard:
    """Return the card of that name.

    Raises:
        NotFoundError: there is none; the sentence lists those there are.
        ModelError: the card cannot be used, or states another name than its file.
    """
    known = sorted(path.stem for path in (root / "cards").glob("*.toml"))
    if name not in known:
        raise NotFoundError(f"There is no model {name!r}; known are: {', '.join(known) or 'none'}.")
    card = read_card(root / "cards" / f"{name}.toml")
    if card.name != name:
        raise ModelError(f"The card in {name}.toml calls itself {card.name!r}; the two names must be the same.")
    return card


def read_card(path: Path) -> ModelCard:
    """Read a card.

    Raises:
        ModelError: the file is missing or no TOML, or fields are missing, unknown, of the wrong kind or contradict
            each other; the sentence names every one of them.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ModelError(f"The model card {path} cannot be read: {err}.") from err
    problems: list[str] = []
    values = _parse(ModelCard, table, "", problems)
    problems += contradictions(values, CARD_CHECKS)
    if problems:
        raise ModelError(f"The model card {path} cannot be used: {'; '.join(problems)}.")
    return ModelCard(**values)


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card as TOML that `read_card` reads back as an equal value."""
    lines = [
        f"{item.name} = {_toml(getattr(card, item.name))}"
        for item in fields(card)
        if item.name not in ("members", "metrics")
    ]
    for member in card.members:
        lines += ["", "[[members]]", *(f"{item.name} = {_toml(getattr(member, item.name))}" for item in fields(member))]
    for group, table in card.metrics.items():
        lines += ["", f"[metrics.{group}]"]
        for name, numbers in table.items():
            inner = ", ".join(f"{key} = {value}" for key, value in numbers.items())
            lines.append(f"{name} = {{ {inner} }}")
    if not card.metrics:
        lines += ["", "[metrics]"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(kind: type[ModelCard | Member], table: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """Return the values of the fields that are as they must be; everything else becomes a problem in words."""
    types = {item.name: str(item.type) for item in fields(kind)}
    problems += [f"{where}{name} is missing" for name in types if name not in table]
    problems += [f"{where}{name} is not known" for name in sorted(set(table) - set(types))]
    values: dict[str, Any] = {}
    for name, type_name in types.items():
        if name not in table:
            continue
        before = len(problems)
        value = _value(type_name, table[name], f"{where}{name}", problems)
        if len(problems) == before:
            values[name] = value
    return values


def _value(type_name: str, value: Any, where: str, problems: list[str]) -> Any:
    """Convert what TOML gave to the type that the dataclass names."""
    if type_name in _SCALARS:
        kinds, words = _SCALARS[type_name]
        if isinstance(value, kinds) and (type_name == "bool" or not isinstance(value, bool)):
            return float(value) if type_name == "float" else value
        problems.append(f"{where} must be {words}, not {value!r}")
        return None
    if type_name == "Metrics":
        return _metrics(value, where, problems)
    if not isinstance(value, list):
        problems.append(f"{where} must be a list, not {value!r}")
        return None
    items = cast(list[Any], value)
    if type_name == "Channels":
        if len(items) != 3:
            problems.append(f"{where} must hold three numbers, not {len(items)}")
        return tuple(_value("float", item, where, problems) for item in items)
    of = {"tuple[str, ...]": _text, "tuple[Stain, ...]": _stain, "tuple[Member, ...]": _member}[type_name]
    return tuple(of(item, f"{where}[{number}]", problems) for number, item in enumerate(items, start=1))


_SCALARS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a text"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
}


def _text(value: Any, where: str, problems: list[str]) -> Any:
    return _value("str", value, where, problems)


def _stain(value: Any, where: str, problems: list[str]) -> Stain | None:
    known = [stain.value for stain in Stain if stain is not Stain.UNKNOWN]
    if value in known:
        return Stain(value)
    problems.append(f"{where} must be one of {', '.join(known)}, not {value!r}")
    return None


def _member(value: Any, where: str, problems: list[str]) -> Member | None:
    if not isinstance(value, dict):
        problems.append(f"{where} must be a table, not {value!r}")
        return None
    before = len(problems)
    values = _parse(Member, cast(dict[str, Any], value), f"{where}.", problems)
    problems += [f"{where}: {text}" for text in contradictions(values, MEMBER_CHECKS)]
    return Member(**values) if len(problems) == before else None


def _metrics(value: Any, where: str, problems: list[str]) -> Metrics:
    """Check group -> metric -> name -> number."""
    for group, table in _table(value, where, problems).items():
        for metric, numbers in _table(table, f"{where}.{group}", problems).items():
            for name, number in _table(numbers, f"{where}.{group}.{metric}", problems).items():
                _value("float", number, f"{where}.{group}.{metric}.{name}", problems)
    return value


def _table(value: Any, where: str, problems: list[str]) -> dict[str, Any]:
    if isinstance(value, dict):
        return cast(dict[str, Any], value)
    problems.append(f"{where} must be a table, not {value!r}")
    return {}


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        items: tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType]  (isinstance loses the item)
        return f"[{', '.join(_toml(item) for item in items)}]"
    return json.dumps(value, ensure_ascii=False)  # a JSON string, number or truth value is a TOML one
