"""The form that takes in what somebody drew or scored on a slide: compared only, or kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.qc.classes import ARTEFACTS, ArtefactClass
from core.server.identity import User
from core.services.quality.comparison import compare_reference
from core.services.quality.references import HUMAN_SCORES, add_reference
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.forms import form_id

FIGURES = {
    "accuracy": ("Accuracy", "Share of tissue on which both say the same"),
    "tpr": ("TPR", "Share of what is annotated that was found"),
    "tnr": ("TNR", "Share of what is not annotated that was not found either"),
    "npv": ("NPV", "Share of what was not found that is not annotated either: how far clean tissue can be trusted"),
    "dice": ("Dice", "Twice the common area over the sum of both"),
    "iou": ("IoU", "Common area over the area of either"),
}
"""Figure of a comparison -> short title and meaning."""
T = TypeVar("T")
_ANY, _USABLE = "An artefact of any kind", "Usable tissue"
_TYPES = ["geojson", "json", "png", "tif", "tiff", "jpg", "jpeg", "bmp"]


def show_reference_form(settings: Settings, slide_id: str, *, user: User) -> None:
    """Let somebody compare outlines, a mask, or a judgement with our map, and keep them."""
    name = f"qc_reference_{slide_id}"
    key = form_id(name)
    upload = st.file_uploader(
        "Outlines or a mask (optional)",
        type=_TYPES,
        key=f"file_{key}",
        help="GeoJSON as QuPath writes it, or a mask image of the whole slide. Outlines named Region* say where "
        "somebody looked.",
    )
    is_mask = upload is not None and not upload.name.casefold().endswith(("json",))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = st.text_input("Drawn or scored by", value=user.name, key=f"who_{key}", max_chars=80, width=230)
        marks = st.selectbox(
            "The mask marks",
            [_ANY, *(kind.about.title for kind in ARTEFACTS), _USABLE],
            key=f"marks_{key}",
            width=230,
            disabled=not is_mask,
            help="Of an image of two values. Outlines say it by their names.",
        )
        usable = st.segmented_control("Usable slide", ["Yes", "No"], key=f"usable_{key}")
        score = st.segmented_control(
            "Score", list(HUMAN_SCORES), key=f"score_{key}", help="0 useless to 5 flawless, by a person"
        )
    note = st.text_input("Note", key=f"reference_note_{key}", max_chars=500)
    kind = next((one for one in ARTEFACTS if one.about.title == marks), None) if is_mask else None
    meaning = "usable" if is_mask and marks == _USABLE else "artefact"
    with st.container(horizontal=True):
        compare = st.button("Compare only", key=f"compare_{key}", icon=":material/compare:", disabled=upload is None)
        keep = st.button("Keep", key=f"keep_{key}", icon=":material/save:", type="primary")
    if compare and upload is not None:
        _compare(
            upload.name,
            upload.getvalue(),
            lambda path: compare_reference(settings, slide_id, path, artefact=kind, meaning=meaning, actor=user.actor),
        )
    if keep:

        def act() -> None:
            given = None if usable is None else usable == "Yes"
            with_file(
                None if upload is None else (upload.name, upload.getvalue()),
                lambda path: add_reference(
                    settings,
                    slide_id,
                    path,
                    name=who,
                    artefact=kind,
                    meaning=meaning,
                    usable=given,
                    human_score=score,
                    note=note,
                    actor=user.actor,
                ),
            )

        if attempt(act, done="The reference is kept beside the slide."):
            st.session_state.pop(f"form:{name}", None)
            st.rerun()


def with_file(upload: tuple[str, bytes] | None, action: Callable[[Path | None], T]) -> T:
    """Lay an upload on the disk under its own name for as long as an action needs it.

    Args:
        upload: Name and content; None = the action gets no file.
        action: Called with the file.
    """
    if upload is None:
        return action(None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / Path(upload[0]).name
        path.write_bytes(upload[1])
        return action(path)


def _compare(name: str, content: bytes, action: Callable[[Path], Mapping[str, object]]) -> None:
    try:
        figures = with_file((name, content), lambda path: action(cast("Path", path)))
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    st.dataframe(
        comparison_frame(figures), hide_index=True, height="content", alt="Figures of our map against the file"
    )
    st.caption("Nothing is kept yet.")


def comparison_frame(figures: Mapping[str, object]) -> pd.DataFrame:
    """Return one row for any artefact and one a class that the reference tells apart."""
    classes = cast("Mapping[str, Mapping[str, object]]", figures["classes"])
    parts = {
        "Any artefact": cast("Mapping[str, object]", figures["any"]),
        **{ArtefactClass(name).about.title: part for name, part in classes.items()},
    }
    return pd.DataFrame(
        [
            {
                "Artefact": title,
                "Annotated and found, mm²": part["both_mm2"],
                "Found only, mm²": part["found_only_mm2"],
                "Missed, mm²": part["missed_mm2"],
                **{short: part[name] for name, (short, _) in FIGURES.items()},
            }
            for title, part in parts.items()
        ]
    )
