"""The demonstration as a story of five minutes: five cases, each found by what the log and the planted truth say of it.

Nothing is written down beforehand. Which case tells a chapter, and every number in it, is computed when the chapter is
opened; a cohort without such a case gets the chapter with the reason why it is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.domain import FlagDirection, FlagKind
from core.roles import Permission
from core.services.cases.worklist import CaseRow
from core.services.cases.worklist_pages import PAGE_LIMIT, worklist_page
from core.services.people.authority import require_now
from core.services.story.planted import planted_cases
from core.settings import Settings
from core.store.records import FlagRecord

MINUTES = 5


class ChapterKind(StrEnum):
    """The chapters in their order; each shows one thing that Second Read does."""

    TRUE_FLAG = "true_flag"
    FALSE_FLAG = "false_flag"
    QC_LIMITED = "qc_limited"
    ABSTAINED = "abstained"
    SECOND_OPINION = "second_opinion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One chapter as far as the person who presents may see it."""

    kind: ChapterKind
    title: str
    case_id: str | None
    """None where the cohort has no such case."""
    slide_id: str | None
    flag: FlagRecord | None
    statement: str
    """What the audience should take away, in one sentence with this cohort's numbers."""
    facts: tuple[tuple[str, str], ...]
    """What is on the case: label and value."""
    notes: tuple[str, ...]
    """What the presenter may say."""
    others: int = 0
    """Further cases of the cohort that could tell the same."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A case with the flag that makes it a chapter's."""

    row: CaseRow
    flag: FlagRecord
    planted: bool | None
    """Whether the target was planted anywhere in the case, which is what its read is about; None if nobody knows."""


def story(settings: Settings, *, actor: str) -> tuple[Chapter, ...]:
    """Return the chapters.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    require_now(settings, actor, Permission.SEE_CASES)
    page = worklist_page(settings, actor=actor, limit=PAGE_LIMIT)
    # What a blinded person must not know is no part of that person's story either.
    rows = [paged.row for paged in page.cases if paged.row.revealed]
    planted = planted_cases(settings)
    told = [_Told(row, flag, planted.get(row.case_id)) for row in rows for flag in row.flags]
    return tuple(_chapter(kind, told, cases=page.total) for kind in ChapterKind)


def _differs(told: _Told, *, rightly: bool) -> bool:
    """Say whether the model calls the case otherwise than its read, and whether the planted truth is on its side."""
    if told.flag.kind not in (FlagKind.MODEL_HIGHER, FlagKind.MODEL_LOWER) or told.planted is None:
        return False
    return (told.planted == (told.flag.direction is FlagDirection.HIGHER)) == rightly


_FITS: Mapping[ChapterKind, Callable[[_Told], bool]] = {
    ChapterKind.TRUE_FLAG: lambda told: _differs(told, rightly=True),
    ChapterKind.FALSE_FLAG: lambda told: _differs(told, rightly=False),
    ChapterKind.QC_LIMITED: lambda told: told.flag.kind is FlagKind.QC_LIMITED,
    ChapterKind.ABSTAINED: lambda told: told.flag.kind is FlagKind.ABSTAINED,
    ChapterKind.SECOND_OPINION: lambda told: _differs(told, rightly=True),
}

_TITLES: Mapping[ChapterKind, str] = {
    ChapterKind.TRUE_FLAG: "A flag that was right",
    ChapterKind.FALSE_FLAG: "A flag that was wrong",
    ChapterKind.QC_LIMITED: "A result that cannot be trusted",
    ChapterKind.ABSTAINED: "The model does not know",
    ChapterKind.SECOND_OPINION: "A second pair of eyes",
}

_MISSING: Mapping[ChapterKind, str] = {
    ChapterKind.TRUE_FLAG: "No read of this cohort is contradicted by the model with the planted truth on its side.",
    ChapterKind.FALSE_FLAG: "No case of this cohort has a read that the model contradicts wrongly.",
    ChapterKind.QC_LIMITED: "No case of this cohort is flagged because of its artefacts.",
    ChapterKind.ABSTAINED: "On no case of this cohort did the model abstain.",
    ChapterKind.SECOND_OPINION: "No case of this cohort has a rightly flagged read to ask a second opinion on.",
}


def _chapter(kind: ChapterKind, told: Sequence[_Told], *, cases: int) -> Chapter:
    fitting = sorted((one for one in told if _FITS[kind](one)), key=lambda one: -(one.flag.score or 0.0))
    if not fitting:
        return Chapter(
            kind=kind,
            title=_TITLES[kind],
            case_id=None,
            slide_id=None,
            flag=None,
            statement=_MISSING[kind],
            facts=(("Cases in the cohort", str(cases)),),
            notes=("Say so, and go on: the story shows what this cohort holds, and nothing else.",),
        )
    first = fitting[0]
    return Chapter(
        kind=kind,
        title=_TITLES[kind],
        case_id=first.row.case_id,
        slide_id=first.flag.slide_id,
        flag=first.flag,
        statement=_STATEMENTS[kind](first),
        facts=_facts(first),
        notes=_NOTES[kind],
        others=len({one.row.case_id for one in fitting}) - 1,
    )


def _read(told: _Told) -> str:
    return told.row.diagnosis.value if told.row.diagnosis is not None else "not read"


def _found(told: _Told) -> str:
    return "is there" if told.planted else "is not there"


_STATEMENTS: Mapping[ChapterKind, Callable[[_Told], str]] = {
    ChapterKind.TRUE_FLAG: lambda told: (
        f"{told.row.case_id} was read as {_read(told)}; the model says {told.row.model_label} "
        f"({_score(told)}). Tumour {_found(told)}: the flag was worth a second look."
    ),
    ChapterKind.FALSE_FLAG: lambda told: (
        f"{told.row.case_id} was read as {_read(told)}; the model says {told.row.model_label} "
        f"({_score(told)}). Tumour {_found(told)}: the reader was right, and the second look cost time."
    ),
    ChapterKind.QC_LIMITED: lambda told: f"{told.row.case_id}: {told.flag.reason}",
    ChapterKind.ABSTAINED: lambda told: f"{told.row.case_id}: {told.flag.reason}",
    ChapterKind.SECOND_OPINION: lambda told: (
        f"{told.row.case_id} was read as {_read(told)} and the model differs. A colleague reads it afresh, "
        "and sees neither the model nor the first read until the opinion is locked."
    ),
}

_NOTES: Mapping[ChapterKind, tuple[str, ...]] = {
    ChapterKind.TRUE_FLAG: (
        "Show the slide without the heatmap first. Where would you have looked?",
        "Switch the heatmap on: red is the model's probability, tile by tile, on tissue only.",
        "The flag asks for a second look. It decides nothing, and the first read stays in the log.",
    ),
    ChapterKind.FALSE_FLAG: (
        "Say it plainly: the model is wrong here. Every flag that is wrong costs a pathologist minutes.",
        "The triage board shows how many such flags a number of reviews a day buys, with intervals.",
        "The reader answers 'disagree' with a reason; such reasons are what a model is retrained on.",
    ),
    ChapterKind.QC_LIMITED: (
        "Here the slide limits the model, not the tissue. Point at the artefact in the Quality page.",
        "The result is shown with and without the masked area; where they differ, nobody should rely on it.",
        "QC decides what to do: accept with limitation, rescan, recut, restain or exclude.",
    ),
    ChapterKind.ABSTAINED: (
        "Between two limits the model says nothing. That is a result as well.",
        "Such a case goes to a person; a wrong answer with a high number would be worse.",
    ),
    ChapterKind.SECOND_OPINION: (
        "Each press of 'Next step' is what a person would do in the screens, by the same services, and is in the log.",
        "While the opinion is awaited, sign in as the colleague in another browser: model and first read are hidden.",
        "In this demonstration the colleague answers with what was planted. A real second opinion is not the truth.",
        "Open the case's history at the end: who, what, when, and the hash chain that shows nothing was changed.",
    ),
}


def _score(told: _Told) -> str:
    return "no score" if told.row.model_score is None else f"score {told.row.model_score:.2f}"


def _facts(told: _Told) -> tuple[tuple[str, str], ...]:
    row, flag = told.row, told.flag
    by = f", {row.diagnosis_by}" if row.diagnosis_by else ""
    planted = {True: "tumour", False: "no tumour", None: "not known"}[told.planted]
    return (
        ("First read", f"{_read(told)}{by}"),
        ("Model", f"{row.model_label or 'no call'}, {_score(told)}"),
        ("Planted truth", planted),
        ("Flag", flag.reason),
        ("Quality score", "not measured" if row.qc_score is None else f"{row.qc_score:.2f}"),
        ("Rule", flag.rule_version),
    )
