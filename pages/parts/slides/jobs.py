"""The jobs of the analysis: the worker's state, what is under way, and what has ended."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain import JobKind, JobState
from core.server.identity import User
from core.services.queue.jobs import cancel, list_jobs, retry, workers
from core.settings import Settings
from core.store.records import JobRecord
from pages.parts.common.actions import attempt_aside, show_notice
from pages.parts.common.badges import JOB_KINDS, JOBS, in_words, plain, time_in_words

POLL_S = 2.0
ROWS_SHOWN = 20
"""Rows with buttons; the rest is counted."""
_LIVE = (JobState.RUNNING, JobState.QUEUED)
_RETRY = (JobState.FAILED, JobState.CANCELLED)


@st.fragment(run_every=POLL_S)
def show_jobs(settings: Settings, *, user: User) -> None:
    """Show worker and jobs, anew every two seconds."""
    show_notice()
    _show_worker(settings)
    jobs = list_jobs(settings)
    if not jobs:
        st.info("No job yet. Add slides above; their analysis starts by itself.", icon=":material/inbox:")
        return
    live = sorted((job for job in jobs if job.state in _LIVE), key=lambda job: (_LIVE.index(job.state), job.job_id))
    ended = sorted((job for job in jobs if job.state not in _LIVE), key=lambda job: -job.job_id)
    newest = {job.slide_id: job.job_id for job in sorted(jobs, key=lambda job: job.job_id)}
    stopped = [job for job in ended if job.state in _RETRY and newest[job.slide_id] == job.job_id]
    if live:
        st.markdown(f"**Under way** ({len(live)})")
        for job in live[:ROWS_SHOWN]:
            _live_row(settings, job, user=user)
        _rest(len(live))
    if stopped:
        st.markdown(f"**Failed or cancelled** ({len(stopped)})")
        for job in stopped[:ROWS_SHOWN]:
            _stopped_row(settings, job, user=user)
        _rest(len(stopped))
    if ended:
        with st.expander(f"All ended jobs ({len(ended)})", icon=":material/history:"):
            st.dataframe(_ended_frame(ended), hide_index=True, key="ended_jobs", alt="All ended jobs, newest first")


def _show_worker(settings: Settings) -> None:
    alive = [worker for worker in workers(settings) if worker.alive]
    if not alive:
        st.warning(
            "No worker is running, so queued jobs wait. The dashboard starts one by itself; "
            "if this stays, start one with `second-read worker`.",
            icon=":material/pause_circle:",
        )
    for worker in alive:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("Worker running", icon=":material/play_circle:", color="green")
            st.caption(f"Process {worker.pid}, since {time_in_words(worker.started_at)}", width="content")


def _live_row(settings: Settings, job: JobRecord, *, user: User) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"job_{job.job_id}"):
        look = JOBS[job.state]
        st.badge(look.label, icon=look.icon, color=look.colour)
        work = f"model {plain(job.model)}" if job.kind is JobKind.ANALYSE else JOB_KINDS[job.kind]
        st.markdown(f"**{plain(job.slide_id)}**  \nCase {plain(job.case_id)}, {work}", width=260)
        if job.state is JobState.RUNNING:
            share = min(job.done / job.total, 1.0) if job.total else 0.0
            st.progress(share, text=_progress_words(job), width=320)
        else:
            st.caption(f"Waiting since {time_in_words(job.created_at)}", width=320)
        if job.override_reason:
            who = plain(job.override_by) if job.override_by else "unknown"
            st.caption(f"Also if the model is not made for it: {plain(job.override_reason)} ({who})", width=260)
        if job.cancel_requested:
            st.caption("Stopping after this batch", width="content")
        elif user.can_operate:
            pressed = st.button("Cancel", key=f"cancel_{job.job_id}", icon=":material/cancel:")
            done = f"Job {job.job_id} is cancelled."
            if pressed and attempt_aside(lambda: cancel(settings, job.job_id, actor=user.actor), done=done):
                st.rerun()


def _progress_words(job: JobRecord) -> str:
    counted = f": {job.done:,} of {job.total:,}" if job.total else ""
    last = ", then the result" if job.total and job.done >= job.total else ""
    return f"{in_words(job.stage) or 'Starting'}{counted}{last}"


def _stopped_row(settings: Settings, job: JobRecord, *, user: User) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"job_{job.job_id}"):
        look = JOBS[job.state]
        st.badge(look.label, icon=look.icon, color=look.colour)
        st.markdown(f"**{plain(job.slide_id)}**  \nCase {plain(job.case_id)}, {JOB_KINDS[job.kind]}", width=260)
        st.markdown(plain(job.message) or "No reason was recorded.", width=420)
        if user.can_operate:
            pressed = st.button("Retry", key=f"retry_{job.job_id}", icon=":material/replay:")
            done = f"Slide {job.slide_id} is queued again."
            if pressed and attempt_aside(lambda: retry(settings, job.job_id, actor=user.actor), done=done):
                st.rerun()


def _rest(count: int) -> None:
    if count > ROWS_SHOWN:
        st.caption(f"{count - ROWS_SHOWN} more.")


def _ended_frame(jobs: list[JobRecord]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Job": [job.job_id for job in jobs],
            "Slide": [job.slide_id for job in jobs],
            "Case": [job.case_id for job in jobs],
            "Work": [JOB_KINDS[job.kind] for job in jobs],
            "State": [JOBS[job.state].label for job in jobs],
            "Message": [job.message for job in jobs],
            "Attempts": [job.attempts for job in jobs],
            "Ended": [time_in_words(job.finished_at) for job in jobs],
        }
    )
