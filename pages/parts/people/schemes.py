"""Reading schemes on the screen of people and roles: which readers are offered, and adding a department's own."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.services.rules.scheme_library import Scheme, SchemeState, add_scheme, check_scheme, offer_scheme
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain, time_in_words


def show_schemes(settings: Settings, states: Sequence[SchemeState], *, actor: str) -> None:
    """Show every scheme with its categories and severities, and take in new ones."""
    st.caption(
        "A scheme says what a reader may answer, in which order, and what it means when two answers differ. "
        "What was read by a scheme stays readable after it is withdrawn."
    )
    for state in states:
        _show_scheme(settings, state, actor=actor)
    _show_upload(settings, actor=actor)


def _show_scheme(settings: Settings, state: SchemeState, *, actor: str) -> None:
    scheme = state.scheme
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(scheme.title)}**  \n`{scheme.name}`, version {plain(scheme.version)}", width=420)
            offered, colour = ("Offered to readers", "green") if state.offered else ("Not offered", "gray")
            st.badge(offered, color=colour, icon=":material/check:" if state.offered else ":material/block:")
            st.badge("Own" if state.own else "Shipped", color="blue" if state.own else "gray")
            label = "Withdraw" if state.offered else "Offer to readers"
            if st.button(label, key=f"offer_{scheme.name}") and attempt(
                lambda: offer_scheme(settings, scheme.name, offered=not state.offered, actor=actor),
                done=f"{scheme.title} is {'withdrawn' if state.offered else 'offered'}.",
            ):
                st.rerun()
        if state.changed_by and state.changed_at:
            st.caption(f"{plain(state.changed_by)}, {time_in_words(state.changed_at)}")
        with st.expander("Categories and severities", icon=":material/table:"):
            show_scheme_tables(scheme)


def show_scheme_tables(scheme: Scheme) -> None:
    """Show what a scheme says."""
    st.caption(plain(scheme.source))
    titles = [category.title for category in scheme.categories]
    st.dataframe(
        pd.DataFrame(
            {
                "Code": scheme.codes,
                "Category": titles,
                "Counts as": [category.read.value.capitalize() for category in scheme.categories],
                "Also written": [", ".join(category.aliases) for category in scheme.categories],
            }
        ),
        hide_index=True,
        key=f"categories_{scheme.name}_{scheme.version}",
        alt=f"Categories of {scheme.title}",
    )
    rows = [[severity.value.capitalize() for severity in row] for row in scheme.severities]
    st.table(
        pd.DataFrame(rows, index=titles, columns=list(scheme.codes)),
        border="horizontal",
        width="content",
        alt=f"What a difference means in {scheme.title}",
    )


def _show_upload(settings: Settings, *, actor: str) -> None:
    st.subheader("Add a scheme")
    file = st.file_uploader(
        "Scheme file (TOML)",
        type=["toml"],
        key="scheme_file",
        max_upload_size=1,
        help="Its name becomes the scheme's. The shipped ones show how a file is written.",
    )
    if file is None:
        st.caption("The file is checked and shown before anything is kept.")
        return
    name = file.name.removesuffix(".toml")
    try:
        text = file.getvalue().decode("utf-8")
        scheme = check_scheme(text, name=name)
    except UnicodeDecodeError:
        st.error("The file is not UTF-8 text.", icon=":material/error:")
        return
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    st.success(f"{plain(scheme.title)}, version {plain(scheme.version)}: no problem found.", icon=":material/check:")
    show_scheme_tables(scheme)
    if st.button("Keep this scheme", type="primary", key="scheme_keep", icon=":material/save:") and attempt(
        lambda: add_scheme(settings, name, text, actor=actor),
        done=f"{scheme.title} is kept. Offer it to readers when it is agreed.",
    ):
        st.rerun()
