"""An evaluation as a document: every figure with its confusion matrix and its n, the model's card, and what went in."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from core.documents import Block, Document, Facts, Heading, Paragraph, Table
from core.errors import NotFoundError
from core.roles import Permission
from core.services.evaluation import blocks as evaluation_blocks
from core.services.evaluation.robustness import RobustnessSummary
from core.services.evaluation.text import size_words, with_interval
from core.services.evaluation.values import EvaluationResult
from core.services.people.authority import require_now
from core.settings import Settings
from models.cards import load_card

LIMITS = (
    "Every figure is agreement with the reference named above, not truth; a negative answer does not mean that there "
    "is no disease. Intervals cover the patients of this cohort, not other laboratories, scanners or populations. "
    "The threshold of the model's card was not chosen on these cases unless it says so."
)
_MOST_REASONS = 20
"""Rows of a table of what was left out; the rest is counted."""


def evaluation_document(
    settings: Settings, result: EvaluationResult, *, robustness: RobustnessSummary | None = None, actor: str
) -> Document:
    """Return the report on one evaluation.

    Args:
        settings: Names the log that says who may take it out.
        result: What was measured, for this actor.
        robustness: How the answers move when the pictures change; left out with a sentence if None.
        actor: Who takes it out.

    Raises:
        NotAllowedError: the actor may not export.
    """
    require_now(settings, actor, Permission.EXPORT)
    blocks: list[Block] = [
        *_summary(result),
        *evaluation_blocks.curves(result),
        *evaluation_blocks.at_threshold(result),
        *evaluation_blocks.baselines_and_rules(result),
        *evaluation_blocks.calibration("Calibration", result.calibration),
        *evaluation_blocks.subgroups(result),
        *evaluation_blocks.tiles(result.tiles),
        *evaluation_blocks.robustness(robustness),
        *_left_out(result),
        *_card(result),
        Heading("Limits"),
        Paragraph(LIMITS, strong=True),
    ]
    made = f"Second Read {version('second-read')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, for {actor}"
    return Document(
        "Evaluation", tuple(blocks), subtitle=f"{result.model_title} against {result.reference}", made_by=made
    )


def _summary(result: EvaluationResult) -> list[Block]:
    return [
        Facts(
            (
                ("Model", f"{result.request.model}: {result.model_title}"),
                ("Target", result.positive),
                ("Weights (SHA-256)", ", ".join(result.weights_sha256) or "of another system: not known"),
                ("Reference", result.reference),
                ("Cohort", result.request.cohort.words),
                ("Compared", size_words(result)),
                ("AUC", f"{with_interval(result.auc.estimate)}; {result.auc.method}"),
                ("Average precision", with_interval(result.average_precision)),
                ("Threshold", f"{result.threshold:.3f}. {result.threshold_note}"),
                ("Hash of what went in", result.data_sha256),
                ("Program", result.code_version),
            )
        ),
        *(Paragraph(sentence) for sentence in result.caution),
    ]


def _left_out(result: EvaluationResult) -> list[Block]:
    out = result.left_out
    found: list[Block] = [
        Heading("Left out"),
        Facts(
            (
                ("Blinded opinion awaited", f"{out.blinded} cases"),
                ("Not read yet and not revealed", f"{out.unread} cases"),
                ("Without a result", str(len(out.without_result))),
                ("Without a label", str(len(out.without_label))),
            )
        ),
    ]
    for reasons in (out.without_result, out.without_label):
        if reasons:
            rows = tuple(reasons.items())[:_MOST_REASONS]
            rest = len(reasons) - len(rows)
            found.append(Table(("What", "Why"), rows, caption=f"{rest} more." if rest else ""))
    return found


def _card(result: EvaluationResult) -> list[Block]:
    try:
        card = load_card(result.request.model)
    except NotFoundError:
        return []
    return [
        Heading("Model card"),
        Facts(
            (
                ("Title", card.title),
                ("Target", card.target),
                ("Tissue, stain", f"{card.tissue}; {', '.join(stain.upper() for stain in card.stain)}"),
                ("Scale", f"{card.mpp:g} um/px, tiles of {card.tile_um:g} um. {card.mpp_note}"),
                ("Networks", ", ".join(f"{one.architecture} ({one.sha256[:12]})" for one in card.members)),
                ("Data", card.data),
                ("Slide threshold", f"{card.slide_threshold:.3f}. {card.slide_threshold_note}"),
            )
        ),
        *(Paragraph(f"- {limit}") for limit in card.limits),
    ]
