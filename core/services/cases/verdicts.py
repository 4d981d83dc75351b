"""What reads and other systems say about cases, and how far that speaks of single slides.

A case read as malignant has the disease on some slide, not on each: of several slides none can be labelled. A read
given after the model was shown would measure the model against its own echo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.domain import ReadCategory
from core.schemes import load_scheme
from core.store.connection import Log
from core.store.evaluations import all_reads
from core.store.imports import ImportedPrediction
from core.store.people import name_key
from core.store.records import DiagnosisRecord, ReadStage, SlideRecord
from core.store.reviews import counting_diagnosis, standing


def by_case_of(slides: Sequence[SlideRecord]) -> dict[str, list[SlideRecord]]:
    """Return case id -> its slides."""
    found: dict[str, list[SlideRecord]] = {}
    for slide in slides:
        found.setdefault(slide.case_id, []).append(slide)
    return found


def to_slides(
    target: Mapping[str, bool], left_out: Mapping[str, str], by_case: Mapping[str, Sequence[SlideRecord]]
) -> tuple[dict[str, bool], dict[str, str]]:
    """Hand verdicts on cases to their slides, as far as they say something about one; the others get the reason."""
    labels: dict[str, bool] = {}
    reasons: dict[str, str] = {}
    for case_id, members in by_case.items():
        reason = left_out.get(case_id, "its case was not read") if case_id not in target else ""
        if not reason and target[case_id] and len(members) > 1:
            reason = "its case was read as malignant and has several slides: the read does not say which"
        for slide in members:
            if reason:
                reasons[slide.slide_id] = reason
            else:
                labels[slide.slide_id] = target[case_id]
    return labels, reasons


def department_verdicts(database: Log, case_ids: Sequence[str]) -> tuple[dict[str, bool], dict[str, str]]:
    """Return what the diagnosis that counts says about cases, as far as it was given before the model was shown."""
    reads = all_reads(database)
    return verdicts_of({case_id: counting_diagnosis(reads.get(case_id, ())) for case_id in case_ids})


def verdicts_of(reads: Mapping[str, DiagnosisRecord | None]) -> tuple[dict[str, bool], dict[str, str]]:
    """Return what reads say about cases, and why some say nothing: a read after the model repeats the model."""
    target: dict[str, bool] = {}
    left_out: dict[str, str] = {}
    for case_id, read in reads.items():
        if read is None:
            left_out[case_id] = "its case was not read"
        elif read.stage is ReadStage.AFTER_MODEL:
            left_out[case_id] = "its case was read after the model's result was shown"
        elif read.category is ReadCategory.INDETERMINATE:
            left_out[case_id] = "its case was read as indeterminate"
        else:
            target[case_id] = read.category is ReadCategory.MALIGNANT
    return target, left_out


def independent_read(recorded: Sequence[DiagnosisRecord], reader: str) -> DiagnosisRecord | None:
    """Return a reader's last read of a case among `recorded`, second opinions too; None without one."""
    return next((one for one in reversed(standing(recorded)) if name_key(one.reader) == name_key(reader)), None)


def system_category(prediction: ImportedPrediction) -> bool | None:
    """Return whether another system calls the case malignant; None if its words mean neither."""
    plain = load_scheme("plain")
    label = prediction.label or max(
        prediction.probabilities, key=lambda name: prediction.probabilities[name], default=""
    )
    code = plain.code_of(label) if label else None
    category = None if code is None else plain.read_category(code)
    return None if category in (None, ReadCategory.INDETERMINATE) else category is ReadCategory.MALIGNANT
