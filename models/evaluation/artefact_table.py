"""The figures of the artefact network as Markdown, from what is stored alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.artefacts.classes import CLASSES

MARKERS = ("<!-- artefacts: begin -->", "<!-- artefacts: end -->")

_TITLES: Mapping[str, str] = {
    "out_of_focus": "out of focus",
    "fold": "fold",
    "pen": "pen",
    "bubble_edge": "bubble or coverslip edge",
    "dark_spot_foreign": "dark spot, foreign object",
    "damaged": "damaged",
    "stain": "pale or over-stained",
    "ink_of_margin": "surgical ink on the margin",
    "clean": "nothing wrong, odd colours",
    "accepted": "the clean patches themselves",
}
_SHARES: Mapping[str, str] = {
    "random": "as chance gives it (15 %)",
    "25": "25 %",
    "50": "50 %",
    "75": "75 %",
}

_FEW = 10

Numbers = Mapping[str, Any]
"""Read from JSON."""


def markdown(figures: Numbers, shares: Mapping[str, Numbers], *, pixels: Numbers | None = None) -> str:
    """Return all tables.

    Args:
        figures: What `models.evaluation.artefacts.measure` stored.
        shares: Share of artefact tiles in a batch -> scores.
        pixels: What benchmarks/artefact_table.py stored; without it its table is left out.
    """
    parts = [
        _classes(figures),
        _stain_and_scale(figures),
        _shares(shares),
        _by_eye(figures["by_eye"]),
        _masks(figures["masks"]),
        *([] if pixels is None else [_pixels(pixels)]),
        _damage(figures["damage_tiles"]),
        _clean(figures["clean"]),
        _defocus(figures["defocus"]),
        _speed(figures["speed"]),
    ]
    return "\n\n".join(parts)


def _classes(figures: Numbers) -> str:
    network, by_hand = figures["network"], figures["by_hand"]
    rows = [
        (
            _TITLES[name],
            _text(network[f"rest_{name}"]),
            _text(network[f"clean_{name}"]),
            _text(by_hand[f"rest_{name}"]),
            _text(by_hand[f"clean_{name}"]),
        )
        for name in CLASSES[1:]
    ]
    rows.append(("mean of the seven", _text(network["rest_mean"]), "", _text(by_hand["rest_mean"]), ""))
    rows.append(("any artefact", "", _text(network["any"]), "", _text(by_hand["any"])))
    heading = (
        f"Simulated artefacts on {figures['tiles']:,} tiles of {figures['sources']} held-out source images, AUROC "
        "(95 % interval over source images):"
    )
    columns = ("class", "network, against the rest", "network, against clean", "by hand, rest", "by hand, clean")
    return f"{heading}\n\n{_table(columns, rows)}"


def _stain_and_scale(figures: Numbers) -> str:
    parts = {**figures["stain"], **{f"{scale} um/px": found for scale, found in figures["scale"].items()}}
    columns = ("tiles", "mean AUROC of the seven", "any artefact", *(_TITLES[name] for name in CLASSES[1:]))
    rows = [
        (
            name,
            _text(found["rest_mean"], sources=found.get("sources")),
            _text(found["any"], sources=found.get("sources")),
            *(f"{found[f'rest_{kind}']['value']:.3f}" for kind in CLASSES[1:]),
        )
        for name, found in parts.items()
    ]
    return f"By stain, and by the scale at which tiles are shown:\n\n{_table(columns, rows)}"


def _shares(shares: Mapping[str, Numbers]) -> str:
    names = ("rest_mean", "any", "sensitivity", "specificity", "balanced_accuracy", "accuracy")
    columns = (
        *("artefacts in a batch", "mean AUROC of the seven", "AUROC, any artefact", "sensitivity", "specificity"),
        *("balanced accuracy", "accuracy, eight classes"),
    )
    rows = [(_SHARES[name], *(_text(found[key]) for key in names)) for name, found in shares.items()]
    missing = [_SHARES[name] for name in _SHARES if name not in shares]
    note = f"\n\nNot trained: {', '.join(missing)}." if missing else ""
    return (
        "The share of artefact tiles in a batch, the same short budget for each, before any calibration; a tile is "
        f"called an artefact where the likeliest class is one:\n\n{_table(columns, rows)}{note}"
    )


def _by_eye(found: Mapping[str, Numbers]) -> str:
    rows = [
        (
            _TITLES[name],
            f"{numbers['n']}",
            f"{numbers['auroc_value']:.3f} ({numbers['auroc_low']:.3f} to {numbers['auroc_high']:.3f})",
            _percent(numbers["called_artefact"]),
            _percent(numbers["called_so"]),
        )
        for name, numbers in found.items()
        if "auroc_value" in numbers
    ]
    accepted = found["accepted"]
    rows.append((_TITLES["accepted"], f"{accepted['n']}", "", _percent(accepted["called_artefact"]), ""))
    columns = ("seen by eye", "patches", "AUROC against clean", "called an artefact", "called this artefact")
    return f"Real artefacts in breast patches of patients that were not trained on:\n\n{_table(columns, rows)}"


def _masks(found: Mapping[str, Numbers]) -> str:
    rows = [
        (
            name.replace("_", " "),
            f"{numbers['windows_with']} / {numbers['windows_without']}",
            _number(numbers["auroc_any"]),
            _number(next(value for key, value in numbers.items() if key in ("auroc_pen", "auroc_bubble_edge"))),
            _percent(numbers["called_artefact"]),
            _percent(numbers["false_alarms"]),
        )
        for name, numbers in found.items()
    ]
    columns = (
        "real crop",
        "windows with / without",
        "AUROC, any artefact",
        "AUROC, its class",
        "found",
        "false alarms",
    )
    return f"Real pen and coverslip crops, window by window, by the network alone:\n\n{_table(columns, rows)}"


def _pixels(found: Numbers) -> str:
    columns = ("real crop", "taken for um/px", "by", "accuracy", "TPR", "TNR", "NPV", "Dice")
    rows = [
        (
            row["crop"].replace("_", " ").replace("/", ", "),
            f"{row['um_per_px']:g}",
            "network and detectors" if row["network"] else "detectors alone",
            *(_number(row[name]) for name in ("accuracy", "tpr", "tnr", "npv", "dice")),
        )
        for row in found["crops"]
    ]
    usable = ", ".join(f"{_percent(value)} ({name})" for name, value in found["usable"].items())
    return (
        "The same crops pixel by pixel, by the whole of quality control (`benchmarks/artefact_table.py`):\n\n"
        f"{_table(columns, rows)}\n\nUsable tissue of the real slide CMU-1-Small-Region: {usable}."
    )


def _damage(found: Mapping[str, Numbers]) -> str:
    rows = [
        (name.replace("_", " "), *(f"{numbers[key]:.2f}" for key in ("damaged", "any_artefact", "highest_any")))
        for name, numbers in found.items()
    ]
    columns = ("damage tile", "probability of damage", "of any artefact", "of any artefact, highest window")
    return f"Foucart's tiles, mean over their windows:\n\n{_table(columns, rows)}"


def _clean(found: Mapping[str, Numbers]) -> str:
    rows = [
        (
            name,
            f"{numbers['windows']}",
            _percent(numbers.get("clean", 0.0)),
            ", ".join(f"{_TITLES[kind]} {100 * numbers[kind]:.1f} %" for kind in CLASSES[1:] if kind in numbers),
        )
        for name, numbers in found.items()
    ]
    return f"Pictures in which nothing is wrong:\n\n{_table(('picture', 'windows', 'called clean', 'called'), rows)}"


def _defocus(found: Mapping[str, Numbers]) -> str:
    rows = [
        (
            name,
            f"{numbers['auroc']:.3f}",
            _percent(numbers["called_out_of_focus"]),
            _percent(numbers["sharp_called_out_of_focus"]),
        )
        for name, numbers in found.items()
    ]
    columns = ("Gaussian blur, deviation", "AUROC", "called out of focus", "sharp ones called so")
    heading = "Real breast patches of test patients, sharp against blurred by grade (1 px is about 4 um):"
    return f"{heading}\n\n{_table(columns, rows)}"


def _speed(found: Numbers) -> str:
    return (
        f"Cost: {found['cpu_ms_per_tile']:.2f} ms of one core a tile, so {found['cpu_s_40_mm2']:.1f} core seconds for "
        f"40 mm2 of tissue in steps of half a tile ({found['tiles_40_mm2']:,.0f} tiles)."
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _text(estimate: Numbers, *, sources: Numbers | None = None) -> str:
    """Value and interval; with fewer than ten source images an interval over them would mean nothing."""
    if sources is not None and sources["value"] < _FEW:
        return f"{estimate['value']:.3f} (of {sources['value']:.0f} source{'s' if sources['value'] > 1 else ''})"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
