"""About: what the tool is for and not for, its limits, versions, and the cards of its models."""

from __future__ import annotations

import streamlit as st

from core.domain import NOT_FOR_DIAGNOSIS
from models.cards import list_cards
from pages.parts.about.versions import LIMITS, USES, show_card, versions
from pages.parts.common.frame import PHANTOM_SENTENCE
from pages.parts.common.session import current_settings, require_role

require_role()
settings = current_settings()

st.title("About Second Read")
st.warning(f"{NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}", icon=":material/gpp_maybe:")

uses, limits = st.columns(2, gap="large")
with uses:
    st.subheader("Intended use")
    st.markdown("\n".join(f"- {use}" for use in USES))
with limits:
    st.subheader("Limits")
    st.markdown("\n".join(f"- {limit}" for limit in LIMITS))

st.subheader("Models")
cards = list_cards()
if not cards:
    st.info("No model is installed. Train one with `second-read train`, then reload this page.")
for card in cards:
    show_card(card)

st.subheader("Versions and places")
st.table(versions(settings), border="horizontal", width="content", alt="Versions of the software and its home folder")
