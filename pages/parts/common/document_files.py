"""Documents to take away: the same content as PDF and as HTML, written when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.documents import Document, to_html, to_pdf


def offer_document(make: Callable[[], Document], *, label: str, file_name: str, key: str, help: str) -> None:
    """Offer a document behind one button.

    Args:
        make: Builds the document; called on another thread when a file is asked for, so it uses no Streamlit.
        label: Of the button.
        file_name: Without its ending.
        key: Of the widgets.
        help: What the document is for.
    """
    with st.popover(label, icon=":material/summarize:", help=help, key=key):
        st.download_button(
            "PDF",
            lambda: to_pdf(make()),
            file_name=f"{file_name}.pdf",
            mime="application/pdf",
            key=f"{key}_pdf",
            on_click="ignore",
            icon=":material/picture_as_pdf:",
            width="stretch",
        )
        st.download_button(
            "HTML",
            lambda: to_html(make()),
            file_name=f"{file_name}.html",
            mime="text/html",
            key=f"{key}_html",
            on_click="ignore",
            icon=":material/code:",
            width="stretch",
        )
