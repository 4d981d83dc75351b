"""The closed vocabularies in words, colours and icons: one place, so that a state looks the same on every page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from core.domain import (
    CaseStatus,
    FlagKind,
    JobKind,
    JobState,
    MppSource,
    ReadCategory,
    ReviewVerdict,
    SlideStatus,
    Stain,
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown."""

    label: str
    colour: str
    """A colour name of Streamlit's theme."""
    icon: str
    meaning: str = ""
    """A sentence for the tooltip."""


FLAGS: Mapping[FlagKind, Look] = {
    FlagKind.MODEL_HIGHER: Look(
        "Model higher", "red", ":material/arrow_upward:", "The model calls disease that the diagnosis does not."
    ),
    FlagKind.MODEL_LOWER: Look(
        "Model lower", "orange", ":material/arrow_downward:", "The diagnosis is disease that the model does not find."
    ),
    FlagKind.OTHER_CATEGORY: Look(
        "Other category", "orange", ":material/swap_horiz:", "Model and diagnosis name different categories."
    ),
    FlagKind.ABSTAINED: Look(
        "No call", "yellow", ":material/contrast:", "The score is too near the threshold for a call."
    ),
    FlagKind.OUT_OF_DISTRIBUTION: Look(
        "Unlike training data", "violet", ":material/help:", "The slide differs from what the model was trained on."
    ),
    FlagKind.QC_LIMITED: Look(
        "Quality limit", "blue", ":material/blur_on:", "Too much artefact on the tissue that carries the call."
    ),
    FlagKind.AUDIT_SAMPLE: Look(
        "Audit sample", "green", ":material/casino:", "Drawn at random from the unflagged cases."
    ),
    FlagKind.NO_RESULT: Look("No result", "gray", ":material/block:", "A slide of the case has no model result."),
    FlagKind.READER_DISAGREEMENT: Look("Readers differ", "red", ":material/group:", "Two readers of the case differ."),
    FlagKind.MODEL_DISAGREEMENT: Look(
        "Models differ", "orange", ":material/compare:", "Two models or systems call the case differently."
    ),
    FlagKind.AGGREGATION_DISAGREEMENT: Look(
        "Aggregations differ",
        "yellow",
        ":material/call_split:",
        "Two ways of rolling up tiles call it differently.",
    ),
}

CASES: Mapping[CaseStatus, Look] = {
    CaseStatus.UNREAD: Look("Unread", "blue", ":material/mark_email_unread:", "No diagnosis is recorded."),
    CaseStatus.READ: Look("Read", "gray", ":material/lock:", "A diagnosis is recorded; no comparison yet."),
    CaseStatus.FLAGGED: Look("Flagged", "red", ":material/flag:", "Look at it again: see the flags."),
    CaseStatus.CONCORDANT: Look("Concordant", "green", ":material/check_circle:", "Diagnosis and model agree."),
    CaseStatus.COMPARED: Look("Compared", "gray", ":material/hourglass_top:", "No flag so far; some slides wait."),
    CaseStatus.REVIEWED: Look("Reviewed", "violet", ":material/rate_review:", "A reader has answered the model."),
    CaseStatus.SECOND_OPINION_REQUESTED: Look(
        "Opinion requested", "orange", ":material/forward_to_inbox:", "Somebody was asked for a second opinion."
    ),
    CaseStatus.OPINION_RECEIVED: Look(
        "Opinion received",
        "blue",
        ":material/mark_email_read:",
        "The opinion waits to be compared with the first read.",
    ),
    CaseStatus.AGREED: Look("Agreed", "green", ":material/handshake:", "The readers agree; the resolution is missing."),
    CaseStatus.ADJUDICATION: Look("Adjudication", "red", ":material/balance:", "The readers differ; a third decides."),
    CaseStatus.RESOLVED: Look("Resolved", "violet", ":material/task_alt:", "Settled; the signature is missing."),
    CaseStatus.SIGNED: Look("Signed", "green", ":material/verified:", "The resolution is signed."),
}

SLIDES: Mapping[SlideStatus, Look] = {
    SlideStatus.OK: Look("Analysed", "green", ":material/check_circle:"),
    SlideStatus.NO_TISSUE: Look("No tissue", "orange", ":material/crop_free:"),
    SlideStatus.NO_MPP: Look("No scale", "orange", ":material/straighten:"),
    SlideStatus.UNREADABLE: Look("Unreadable", "red", ":material/broken_image:"),
    SlideStatus.NOT_APPLICABLE: Look("Model not applicable", "orange", ":material/do_not_disturb_on:"),
    SlideStatus.FAILED: Look("Failed", "red", ":material/error:"),
}
NOT_ANALYSED = Look("Not analysed yet", "gray", ":material/hourglass_empty:")

JOBS: Mapping[JobState, Look] = {
    JobState.QUEUED: Look("Queued", "gray", ":material/schedule:"),
    JobState.RUNNING: Look("Running", "blue", ":material/progress_activity:"),
    JobState.DONE: Look("Done", "green", ":material/check_circle:"),
    JobState.FAILED: Look("Failed", "red", ":material/error:"),
    JobState.CANCELLED: Look("Cancelled", "gray", ":material/cancel:"),
}

JOB_KINDS: Mapping[JobKind, str] = {
    JobKind.ANALYSE: "analysis",
    JobKind.QC: "quality",
    JobKind.EXPLAIN: "explanation",
    JobKind.ROBUSTNESS: "robustness",
}

CATEGORIES: Mapping[ReadCategory, str] = {
    ReadCategory.BENIGN: "Benign",
    ReadCategory.MALIGNANT: "Malignant",
    ReadCategory.INDETERMINATE: "Indeterminate",
}
VERDICTS: Mapping[ReviewVerdict, Look] = {
    ReviewVerdict.AGREE: Look("Agree", "green", ":material/thumb_up:"),
    ReviewVerdict.DISAGREE: Look("Disagree", "red", ":material/thumb_down:"),
    ReviewVerdict.UNSURE: Look("Unsure", "yellow", ":material/help:"),
}
STAINS: Mapping[Stain, str] = {Stain.HE: "H&E", Stain.IHC: "IHC", Stain.UNKNOWN: "Unknown"}
MPP_SOURCES: Mapping[MppSource, str] = {
    MppSource.OPENSLIDE: "stated by the file (openslide.mpp)",
    MppSource.VENDOR: "stated by the scanner's own keys",
    MppSource.TIFF_RESOLUTION: "from the TIFF resolution",
    MppSource.USER: "given by a user",
}


def show_badges(looks: Iterable[Look]) -> None:
    """Show states side by side; they wrap where the line ends."""
    with st.container(horizontal=True, gap="xsmall"):
        for look in looks:
            st.badge(look.label, icon=look.icon, color=look.colour, help=look.meaning or None)


def in_words(name: str) -> str:
    """Return an identifier such as `top_k_mean` as words: `Top k mean`."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def time_in_words(moment: datetime | None) -> str:
    """Return a time in UTC to the minute, or a dash."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "-"


def plain(text: str) -> str:
    """Return text typed by a person so that Markdown shows it as it was typed."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()<>#+-!|~$:" else sign for sign in text)
