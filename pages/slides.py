"""Add slides and jobs: where slides come in, and how their analysis is getting on."""

from __future__ import annotations

import streamlit as st

from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_role
from pages.parts.slides.adding import show_folder_form, show_manifest_form, show_upload_form
from pages.parts.slides.jobs import show_jobs

user = require_role()
settings = current_settings()
show_notice()

st.title("Add slides and jobs")
if user.can_operate:
    folder, manifest, upload = st.tabs(
        [":material/folder_open: Folder or file", ":material/table: Manifest", ":material/upload_file: Upload"]
    )
    with folder:
        show_folder_form(settings, user=user)
    with manifest:
        show_manifest_form(settings, user=user)
    with upload:
        show_upload_form(settings, user=user)
else:
    st.info("Your role looks only: a pathologist, quality control or the lead adds slides.", icon=":material/lock:")

st.subheader("Jobs")
show_jobs(settings, user=user)
