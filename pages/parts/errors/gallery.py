"""Errors of a model on the screen: a gallery to pick from, one error large, its codes, and the keys to walk by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.domain import Region
from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User
from core.services.cases.review import open_case
from core.services.error_review.export import error_picture, export_errors
from core.services.error_review.reviews import code_error
from core.services.error_review.values import REASON_WORDS, Direction, ErrorGallery, ErrorItem, Level, Reason
from core.services.evaluation.text import number
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain

THUMB_PX, LARGE_PX = 150, 460
AROUND = 3.0
"""Tile sides shown around an error in the large picture."""
COLUMNS = 4
AT = "err_at"
WORDS = {Direction.FALSE_NEGATIVE: "Missed", Direction.FALSE_POSITIVE: "False alarms"}


@st.cache_data(max_entries=600, show_spinner=False)
def picture(
    _settings: Settings, home: str, slide_id: str, region: Region | None, px: int, around: float, actor: str
) -> NDArray[np.uint8] | str:
    """Return a picture of a place, or the sentence that says why there is none; the actor is part of the key."""
    del home
    try:
        return error_picture(_settings, slide_id, region, px=px, around=around, actor=actor)
    except SecondReadError as err:
        return str(err)


def show_gallery(settings: Settings, user: User, gallery: ErrorGallery, *, at: int, start: int) -> None:
    """Show small pictures of a page of errors; one opens below its picture."""
    columns = st.columns(COLUMNS)
    for place, item in enumerate(gallery.items):
        with columns[place % COLUMNS], st.container():
            found = picture(settings, str(settings.home), item.slide_id, item.region, THUMB_PX, 1.0, user.actor)
            if isinstance(found, str):
                st.caption(f":material/broken_image: {found}")
            else:
                st.image(
                    found, width="stretch", alt=f"Error {start + place + 1}: {item.slide_id}, score {item.score:.2f}"
                )
            done = " :green[:material/check:]" if item.own is not None else ""
            st.button(
                f"{start + place + 1}. {item.score:.2f}{done}",
                key=f"err_open_{place}",
                type="primary" if place == at else "tertiary",
                width="stretch",
                on_click=_go,
                args=(place,),
                help=f"{item.slide_id}, {item.wrongness:.2f} from the threshold {item.threshold:.2f}.",
            )


def show_walk(count: int, at: int) -> None:
    """Show the way to the previous and the next error."""
    with st.container(horizontal=True):
        st.button(
            "Previous",
            key="err_previous",
            icon=":material/arrow_back:",
            shortcut="k",
            disabled=at <= 0,
            on_click=_go,
            args=(at - 1,),
        )
        st.button(
            "Next",
            key="err_next",
            icon=":material/arrow_forward:",
            shortcut="j",
            disabled=at >= count - 1,
            on_click=_go,
            args=(at + 1,),
        )


def show_item(settings: Settings, user: User, item: ErrorItem, *, count: int, at: int) -> None:
    """Show one error large with its surroundings, and let the person say why."""
    open_case(settings, item.case_id, actor=user.actor)
    found = picture(settings, str(settings.home), item.slide_id, item.region, LARGE_PX, AROUND, user.actor)
    if isinstance(found, str):
        st.warning(found, icon=":material/broken_image:")
    else:
        st.image(
            _framed(found) if item.region is not None else found,
            width=LARGE_PX,
            alt=f"{item.slide_id} with the tile in the middle, score {item.score:.3f}",
        )
    missed = item.direction is Direction.FALSE_NEGATIVE
    what = "shows the target by the reference and was not called" if missed else "was called and shows no target"
    st.markdown(
        f"**{plain(item.slide_id)}**, case {plain(item.case_id)}: this {item.level.value} {what}. Score "
        f"**{item.score:.3f}**, threshold {item.threshold:.3f}. Reference: {plain(item.reference)}."
    )
    with st.container(horizontal=True):
        if item.region is not None:
            st.caption(f"x {item.region.x}, y {item.region.y} px of the full resolution", width="content")
        st.page_link("case.py", label="Open the case", icon=":material/biotech:", query_params=_link(item))
    _show_codes(item)
    if user.may(Permission.ANNOTATE):
        _code_buttons(settings, user, item, count=count, at=at)
    else:
        st.caption("Your role looks at errors; readers code them.")


def show_summary(gallery: ErrorGallery, *, direction: Direction, level: Level) -> None:
    """Show how many there are, what was coded, and how two readers agree."""
    with st.container(horizontal=True):
        st.metric(
            WORDS[direction], f"{gallery.total:,}", width=130, help=f"Of {gallery.n_units:,} {level.value}s compared."
        )
        st.metric("Coded by you", f"{sum(gallery.codes.values()):,}", width=140)
        st.metric("Coded by two", f"{gallery.agreement.n:,}", width=140)
        for name, title in (("po", "Agreement"), ("kappa", "Kappa"), ("ac1", "AC1")):
            found = gallery.agreement.estimates.get(name)
            if found is not None:
                low, high = number(found.low, 2), number(found.high, 2)
                st.metric(title, number(found.value, 2), width=120, help=found.reason or f"95 %: {low} to {high}")
    counted = {REASON_WORDS[reason]: n for reason, n in gallery.codes.items() if n}
    if counted:
        st.caption("Your codes of this kind: " + ", ".join(f"{name} {n}" for name, n in counted.items()) + ".")


def show_export(settings: Settings, user: User, *, model: str) -> None:
    """Let the person take coded errors out as training data."""
    if not user.may(Permission.EXPORT):
        return
    with st.popover("Export for retraining", icon=":material/download:"):
        st.caption(
            "Patches (PNG), outlines (GeoJSON for QuPath) and a table with both readers' reasons, of coded errors."
        )
        if st.button("Prepare the file", key="err_prepare", icon=":material/archive:"):
            try:
                content = export_errors(settings, model=model, actor=user.actor)
            except SecondReadError as err:
                st.info(str(err), icon=":material/info:")
                return
            st.download_button(
                f"Download ({len(content) / 1e6:.1f} MB)",
                content,
                file_name=f"second-read-errors-{model}.zip",
                mime="application/zip",
                icon=":material/download:",
                on_click="ignore",
                key="err_download",
            )


def codes_frame(items: Sequence[ErrorItem]) -> pd.DataFrame:
    """Return a table of a page of errors with the codes that this person may see."""
    return pd.DataFrame(
        [
            {
                "Slide": one.slide_id,
                "Case": one.case_id,
                "Score": one.score,
                "Wrong by": one.wrongness,
                "Your code": "" if one.own is None else REASON_WORDS[Reason(one.own.reason)],
                "Other reader": "" if one.other is None else REASON_WORDS[Reason(one.other.reason)],
                "Readers": one.coded,
            }
            for one in items
        ]
    )


def _show_codes(item: ErrorItem) -> None:
    if item.own is not None:
        st.badge(f"You: {REASON_WORDS[Reason(item.own.reason)]}", icon=":material/edit:", color="blue")
    if item.other is not None:
        agree = item.own is not None and item.own.reason == item.other.reason
        st.badge(
            f"Other reader: {REASON_WORDS[Reason(item.other.reason)]}",
            icon=":material/group:",
            color="green" if agree else "orange",
        )
    elif item.coded and item.own is None:
        st.caption(":material/visibility_off: Another reader has coded this error; you see the code after yours.")


def _code_buttons(settings: Settings, user: User, item: ErrorItem, *, count: int, at: int) -> None:
    note = st.text_input(
        "Note", key=f"err_note_{'_'.join(map(str, item.key))}", placeholder="Optional, before the code"
    )
    with st.container(horizontal=True, gap="small"):
        for place, reason in enumerate(Reason, start=1):
            chosen = item.own is not None and item.own.reason == reason.value
            pressed = st.button(
                REASON_WORDS[reason],
                key=f"err_code_{reason.value}",
                shortcut=str(place),
                type="primary" if chosen else "secondary",
                help="Records your code and goes on to the next error.",
            )
            if pressed and attempt(
                lambda reason=reason: code_error(settings, item, reason=reason, note=note, actor=user.actor),
                done=f"{REASON_WORDS[reason]} recorded.",
            ):
                st.session_state[AT] = min(at + 1, count - 1)
                st.rerun()


def _framed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the tile's outline into the middle of a picture that shows its surroundings."""
    found = pixels.copy()
    height, width = found.shape[:2]
    side_y, side_x = height / AROUND, width / AROUND
    top, left = round((height - side_y) / 2), round((width - side_x) / 2)
    bottom, right = round((height + side_y) / 2), round((width + side_x) / 2)
    for colour, grow in (((255, 255, 255), 2), ((209, 112, 74), 0)):
        t, b, le, r = top - grow, bottom + grow, left - grow, right + grow
        found[t : t + 2, le:r] = colour
        found[b - 2 : b, le:r] = colour
        found[t:b, le : le + 2] = colour
        found[t:b, r - 2 : r] = colour
    return found


def _link(item: ErrorItem) -> dict[str, str]:
    place = {} if item.region is None else {"x": f"{item.region.centre.x:.0f}", "y": f"{item.region.centre.y:.0f}"}
    return {"case": item.case_id, "slide": item.slide_id, **place}


def _go(place: int) -> None:
    st.session_state[AT] = place
