"""The three ways in which slides are added. Slides on this machine stay where they are; only uploads are copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core.domain import MPP_POSSIBLE, SlideStatus, Stain
from core.errors import SecondReadError
from core.server.identity import User
from core.services.catalogue import AddResult, add_manifest, add_paths, get_slide, save_upload
from core.services.queue.jobs import enqueue
from core.settings import Settings
from pages.parts.common.badges import STAINS, plain

UPLOAD_TYPES = ["svs", "tif", "tiff", "ndpi", "scn", "bif", "vms", "mrxs", "dcm", "png", "jpg", "jpeg"]


def show_folder_form(settings: Settings, *, user: User) -> None:
    """Ask for a folder or a file on this machine."""
    with st.form("folder"):
        path = st.text_input(
            "Folder or slide file on this machine", key="folder_path", placeholder="/data/scans/2026-03"
        )
        case_id = st.text_input(
            "Case (optional)",
            key="folder_case",
            max_chars=80,
            placeholder="One case for all of them; without it, each slide is a case of its own",
        )
        mpp, stain = _scale_and_stain("folder")
        tissue = _tissue("folder")
        submitted = st.form_submit_button("Add slides", type="primary", icon=":material/add:", key="folder_add")
    if submitted and _given(path, what="a folder or file"):
        _add(
            lambda: add_paths(
                settings,
                [Path(path.strip())],
                case_id=case_id.strip() or None,
                mpp=mpp,
                stain=stain,
                tissue=tissue,
                actor=user.actor,
            ),
            settings,
            user,
        )


def show_manifest_form(settings: Settings, *, user: User) -> None:
    """Ask for a manifest CSV on this machine."""
    with st.form("manifest"):
        path = st.text_input("Manifest CSV on this machine", key="manifest_path", placeholder="/data/manifest.csv")
        st.caption(
            "Columns: `path` is required; `case`, `mpp`, `stain`, `tissue`, `site` and `scanner` may follow. "
            "Paths are relative to the manifest."
        )
        submitted = st.form_submit_button("Add slides", type="primary", icon=":material/add:", key="manifest_add")
    if submitted and _given(path, what="a manifest"):
        _add(lambda: add_manifest(settings, Path(path.strip()), actor=user.actor), settings, user)


def show_upload_form(settings: Settings, *, user: User) -> None:
    """Take one small file from the browser."""
    with st.form("upload"):
        file = st.file_uploader(
            f"Slide file, at most {settings.upload_limit_mib} MiB", type=UPLOAD_TYPES, key="upload_file"
        )
        st.caption("Larger slides, and formats of several files, are added by their folder.")
        case_id = st.text_input(
            "Case (optional)", key="upload_case", max_chars=80, placeholder="Slides of one case carry the same name"
        )
        mpp, stain = _scale_and_stain("upload")
        tissue = _tissue("upload")
        submitted = st.form_submit_button("Upload and add", type="primary", icon=":material/upload:", key="upload_add")
    if not submitted:
        return
    if file is None:
        st.warning("Choose a file first.", icon=":material/edit:")
        return
    _add(
        lambda: save_upload(
            settings,
            file.name,
            file,
            case_id=case_id.strip() or None,
            mpp=mpp,
            stain=stain,
            tissue=tissue,
            actor=user.actor,
        ),
        settings,
        user,
    )


def _scale_and_stain(key: str) -> tuple[float | None, Stain]:
    low, high = MPP_POSSIBLE
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mpp = st.number_input(
            "Micrometres per pixel (optional)",
            min_value=low,
            max_value=high,
            value=None,
            step=0.01,
            format="%.4f",
            placeholder="As the file says",
            key=f"{key}_mpp",
            width=260,
            help="Only where the file states none or a wrong one. It is never guessed from 20x or 40x.",
        )
        stain = st.segmented_control(
            "Stain",
            list(Stain),
            format_func=STAINS.__getitem__,
            default=Stain.UNKNOWN,
            required=True,
            key=f"{key}_stain",
        )
    return mpp, stain


def _tissue(key: str) -> str | None:
    return st.text_input(
        "Tissue (optional)",
        key=f"{key}_tissue",
        max_chars=60,
        placeholder="breast",
        help="The organ it comes from. A model made for another organ is then refused.",
        width=260,
    )


def _given(path: str, *, what: str) -> bool:
    if path.strip():
        return True
    st.warning(f"Type the path of {what} first.", icon=":material/edit:")
    return False


def _add(add: Callable[[], AddResult], settings: Settings, user: User) -> None:
    """Add slides, queue their analysis, and say what came of it."""
    try:
        with st.spinner("Adding slides..."):
            result = add()
            # A known slide that has a result keeps it; one without gets another chance, as its scale may be new.
            waiting = [i for i in result.slide_ids if get_slide(settings, i).status is not SlideStatus.OK]
            jobs = enqueue(settings, waiting, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    st.success(
        f"Slides added: {len(result.added)}. Already known: {len(result.existing)}. Jobs queued: {len(jobs)}.",
        icon=":material/check_circle:",
    )
    for warning in result.warnings:
        st.warning(plain(warning), icon=":material/warning:")
