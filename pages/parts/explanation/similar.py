"""What looks alike elsewhere: tiles and cases near to a tile and its slide, as the model's last layers see them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain import JobState, Region
from core.errors import SecondReadError
from core.server.identity import User
from core.services.explanation.explain import live_job
from core.services.explanation.similar import (
    NEIGHBOURS_SENTENCE,
    Neighbours,
    Similar,
    embeddings_payload,
    neighbours,
    request_cohort,
    request_embeddings,
)
from core.services.explanation.slide import SlideExplanation
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain
from pages.parts.explanation.choice import Chosen, tile_asked
from pages.parts.explanation.strip import THUMB_PX, thumbnails

POLL_S = 2.0


def show_similar(settings: Settings, slide: SlideExplanation, chosen: Chosen, *, user: User) -> None:
    """Show the nearest tiles and cases, or offer to compute what is needed for that."""
    st.caption(NEIGHBOURS_SENTENCE)
    region = tile_asked(slide) or _most_suspicious(slide)
    try:
        found = neighbours(settings, slide.slide_id, region, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    if found is None:
        _show_request(settings, slide, user=user)
        return
    left_out = "1 more is left out: its" if found.hidden == 1 else f"{found.hidden} more are left out: their"
    hidden = f" {left_out} result is hidden from you." if found.hidden else ""
    st.markdown(f"Compared with {found.compared} other slides that {plain(slide.model)} has embedded.{hidden}")
    if user.can_operate and st.button(
        "Embed the other slides",
        key="explain_embed_all",
        icon=":material/grain:",
        help="Queues a job for every slide with a result of this model that is not embedded yet.",
    ):
        attempt(
            lambda: request_cohort(settings, model=slide.model, actor=user.actor),
            done="The other slides are queued; come back when their jobs have ended.",
        )
        st.rerun()
    _show_asked(settings, chosen, found, user=user)
    st.subheader("Similar tiles")
    _show_row(settings, found.tiles, user=user, none="No other slide is embedded yet.")
    st.subheader("Similar cases")
    st.caption("By the mean over all tiles of a slide; the picture is the tile nearest to that mean.")
    _show_row(settings, found.cases, user=user, none="No slide of another case is embedded yet.")


def _most_suspicious(slide: SlideExplanation) -> Region:
    return Region(*slide.regions[int(slide.tiles.target.argmax())])


def _show_request(settings: Settings, slide: SlideExplanation, *, user: User) -> None:
    job = live_job(settings, slide.slide_id, embeddings_payload(slide.model))
    if job is not None and job.state in (JobState.QUEUED, JobState.RUNNING):
        _show_progress(settings, slide.slide_id, slide.model)
        return
    if job is not None:
        st.warning(plain(job.message), title="The last attempt ended without a result", icon=":material/warning:")
    st.info(f"{plain(slide.slide_id)} has no embeddings by {plain(slide.model)} yet.", icon=":material/grain:")
    if st.button(
        "Compute them",
        key="explain_embed",
        type="primary",
        icon=":material/grain:",
        help="A job for the worker, about as long as the analysis of the slide.",
    ) and attempt(
        lambda: request_embeddings(settings, slide.slide_id, model=slide.model, actor=user.actor),
        done="The embeddings are queued.",
    ):
        st.rerun()


@st.fragment(run_every=POLL_S)
def _show_progress(settings: Settings, slide_id: str, model: str) -> None:
    job = live_job(settings, slide_id, embeddings_payload(model))
    if job is None or job.state in (JobState.FAILED, JobState.CANCELLED):
        st.rerun()
    elif job.state is JobState.QUEUED:
        st.progress(0.0, text=f"Job {job.job_id} waits for the worker.")
    else:
        share = min(job.done / job.total, 1.0) if job.total else 0.0
        st.progress(share, text=f"Embedding: tile {job.done} of {job.total}." if job.total else "Starting.")


def _show_asked(settings: Settings, chosen: Chosen, found: Neighbours, *, user: User) -> None:
    (picture,) = thumbnails(settings, chosen.slide_id, chosen.slide.sha256, [found.asked], user=user)
    if picture is not None:
        st.image(picture, width=THUMB_PX, alt=f"The compared tile at {found.asked.x}, {found.asked.y}")
    st.caption(f"The compared tile of {plain(chosen.slide_id)}, at {found.asked.x}, {found.asked.y} (level-0 px).")


def _show_row(settings: Settings, found: Sequence[Similar], *, user: User, none: str) -> None:
    if not found:
        st.caption(none)
        return
    with st.container(horizontal=True, gap="small"):
        for one in found:
            (picture,) = thumbnails(settings, one.slide_id, None, [one.region], user=user)
            with st.container(width=THUMB_PX + 20, gap="xxsmall"):
                if picture is not None:
                    st.image(picture, width=THUMB_PX, alt=f"Tile of {one.slide_id}, similarity {one.similarity:.2f}")
                call = "" if one.label is None else f", call {plain(one.label)}"
                st.caption(f"Similarity {one.similarity:.2f}{call}")
                st.page_link(
                    "explanation.py",
                    label=plain(one.slide_id),
                    icon=":material/arrow_forward:",
                    query_params={
                        "case": one.case_id,
                        "slide": one.slide_id,
                        "tile": f"{one.region.x},{one.region.y}",
                    },
                )
