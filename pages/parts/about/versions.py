"""Texts and tables of the About screen."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
import streamlit as st

from core.server.routes import code_version
from core.services.analysis.tile_columns import target_name
from core.settings import Settings
from models.cards import Member, ModelCard
from pages.parts.common.badges import STAINS, in_words, plain

USES = (
    "**Flag** cases in which the recorded diagnosis and the model differ, or the model should not be trusted.",
    "**First look** where no pathologist is at hand: provisional until a person has read the case.",
    "**Quality control**: which part of which slide is unusable, and why.",
    "**Research and teaching**: agreement between readers, model evaluation, demonstrations.",
)
LIMITS = (
    "A model score is no diagnosis and no probability that a patient has a disease.",
    "The model knows the classes of its card and nothing else; a slide without a finding may still show another "
    "disease.",
    "Flags compare two opinions. Where they differ, either may be wrong.",
    "Models are measured on the data named in their cards. Other scanners, stains and tissues may give other results.",
    "No scale, no result: micrometres per pixel are read or given, and never guessed from a magnification.",
    "The sign-in of this version is a demonstration: it checks nobody's identity.",
)
_PACKAGES = (
    "streamlit",
    "torch",
    "torchvision",
    "openslide-python",
    "openslide-bin",
    "sqlite-utils",
    "numpy",
    "plotly",
)


def versions(settings: Settings) -> dict[str, str]:
    """Return what runs here; packages are asked for their version without being loaded."""
    rows = {"Second Read": code_version(), "Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            rows[package] = "not installed"
    return rows | {"Home folder": f"`{settings.home}`", "Default model": settings.model}


def show_card(card: ModelCard) -> None:
    """Show a model card with everything it states."""
    with st.expander(f"{plain(card.title)} ({plain(card.name)})", icon=":material/model_training:", expanded=True):
        st.markdown(plain(card.target))
        st.table(_card_rows(card), border="horizontal", alt=f"Card of the model {card.name}")
        metrics = metrics_frame(card.metrics)
        if len(metrics):
            st.markdown("**Measured** (95 % interval over patients)")
            st.dataframe(metrics, hide_index=True, height="content", alt=f"Metrics of the model {card.name}")
        st.markdown("**Limits**\n" + "\n".join(f"- {plain(limit)}" for limit in card.limits))


def metrics_frame(metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> pd.DataFrame:
    """Return one row a metric and set: value with its interval."""
    return pd.DataFrame(
        [
            {
                "Set": in_words(group),
                "Metric": in_words(name),
                "Value": numbers.get("value"),
                "Low": numbers.get("low"),
                "High": numbers.get("high"),
            }
            for group, table in metrics.items()
            for name, numbers in table.items()
        ]
    )


def _member(member: Member) -> str:
    return (
        f"{plain(member.architecture)}, tiles shown at {member.input_px} px, temperature {member.temperature:.2f}, "
        f"{plain(member.weights)} `{member.sha256[:12]}`"
    )


def _card_rows(card: ModelCard) -> dict[str, str]:
    return {
        "Classes": plain(", ".join(card.classes)) + f"; looks for {plain(target_name(card.positive_classes))}",
        "Tissue and stain": f"{plain(card.tissue)}; {', '.join(STAINS[stain] for stain in card.stain)}",
        "Scale": f"{card.mpp:g} µm/px. {plain(card.mpp_note)}",
        "Slides": "yes" if card.for_slides else f"refused unless overridden. {plain(card.for_slides_note)}",
        "Tile": f"{card.tile_um:g} µm ({card.tile_px} px), seen in {card.isometries} of 8 turned and mirrored ways",
        **{f"Network {number}": _member(member) for number, member in enumerate(card.members, start=1)},
        "Weights SHA-256": f"`{card.weights_sha256}`",
        "Threshold for a tile": f"{card.threshold:.3f}",
        "Data": plain(card.data),
        "Licence of the data": plain(card.licence_of_data),
        "Split": plain(card.split),
        "Training": plain(card.training),
        "Created": plain(card.created),
    }
