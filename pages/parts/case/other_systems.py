"""What other systems say about the case, below the model's own result."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.server.identity import User
from core.services.cases.other_systems import other_systems
from core.settings import Settings
from pages.parts.common.badges import time_in_words


def show_other_systems(settings: Settings, case_id: str, *, user: User) -> None:
    """Show imported predictions of a case; nothing where there are none, or where they are hidden from this person."""
    found = other_systems(settings, case_id, actor=user.actor)
    if not found:
        return
    st.markdown("**Other systems**, for the whole case")
    classes = list(dict.fromkeys(name for one in found for name in one.probabilities))
    frame = pd.DataFrame(
        {
            "System": [f"{one.system} {one.version}" for one in found],
            "Calls": [one.label for one in found],
            **{name: [one.probabilities.get(name) for one in found] for name in classes},
            "File": [one.source for one in found],
            "Imported": [time_in_words(one.imported_at) for one in found],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        key=f"other_systems_{case_id}",
        placeholder="-",
        column_config={
            name: st.column_config.ProgressColumn(name, min_value=0, max_value=1, format="%.3f") for name in classes
        },
        alt="What other systems say about the case",
    )
    st.caption("As it was imported. Flags compare it with the model and with the reads.")
