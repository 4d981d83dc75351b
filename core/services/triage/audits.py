"""The audit of unflagged cases: a draw with its seed in the log, and what second opinions on the drawn cases found.

Only such a sample says what the rules miss: everything else that is resolved was resolved because somebody doubted it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from core.domain import CaseStatus
from core.errors import ConflictError, InputError
from core.flags import case_flags
from core.roles import Permission
from core.services.people.authority import require
from core.services.rules.evidence import evidence_of
from core.services.rules.flagging import refresh_flags_in
from core.services.rules.rule_sets import active_rules
from core.services.triage.board import DISCORDANT, hidden_cases
from core.settings import Settings
from core.store.audits import AuditDraw, drawn_in, draws, insert_draw
from core.store.board import open_cases, settled_cases
from core.store.connection import open_log, reading, writing
from core.store.summary_lists import states_of_cases
from core.triage import audit_sample

__all__ = ["AuditDraw", "AuditView", "DrawnCase", "audit_view", "draw_audit"]

LARGEST_DRAW = 500
"""More than a department can look at again; 299 without a miss bound the miss rate at 1 %."""
SEED_LIMIT = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnCase:
    """A drawn case as it stands now."""

    case_id: str
    draw: int
    status: CaseStatus
    missed: bool | None
    """Whether the second opinion differed; None while there is none that was compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """Every draw and what became of its cases."""

    draws: tuple[AuditDraw, ...]
    cases: tuple[DrawnCase, ...]
    """Without those on which an opinion is awaited from the person who looks."""
    hidden: int
    pool: int
    """Read, unflagged, open cases that no draw holds yet: what the next one draws from."""


def audit_view(settings: Settings, *, actor: str) -> AuditView:
    """Return every draw and what became of its cases.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        made, hidden = draws(database), hidden_cases(database, actor)
        drawn = drawn_in(database)
        states = states_of_cases(database, list(drawn))
        compared: Mapping[str, bool] = {
            one.case_id: one.discordance in DISCORDANT for one in settled_cases(database) if one.discordance is not None
        }
        pool = sum(not one.flagged and one.case_id not in drawn for one in open_cases(database, hidden=hidden))
    cases = [(name, draw.number) for draw in made for name in draw.cases if name not in hidden]
    return AuditView(
        draws=made,
        cases=tuple(
            DrawnCase(case_id=name, draw=number, status=states[name], missed=compared.get(name))
            for name, number in cases
        ),
        hidden=sum(name in hidden for name in drawn),
        pool=pool,
    )


def draw_audit(settings: Settings, *, size: int, seed: int | None = None, actor: str) -> AuditDraw:
    """Draw unflagged cases at random, keep the draw with its seed, and flag the cases for a second look.

    Drawn are read cases with a result that no rule flags, that nobody looks at again, and that no earlier draw holds.

    Args:
        settings: Names the home folder.
        size: How many; all there are, if there are fewer.
        seed: Of the draw; None = drawn here. It stands in the log, so that anybody can repeat the draw.
        actor: Who draws.

    Raises:
        NotAllowedError: the actor may not change rules.
        InputError: size or seed cannot be used.
        ConflictError: there is no case to draw, or the active rules do not flag drawn cases.
    """
    if not 1 <= size <= LARGEST_DRAW:
        raise InputError(f"{size} cases cannot be drawn; give 1 to {LARGEST_DRAW}.")
    chosen_seed = secrets.randbelow(SEED_LIMIT) if seed is None else seed
    if not 0 <= chosen_seed < SEED_LIMIT:
        raise InputError(f"The seed is {chosen_seed}; give a whole number from 0 to {SEED_LIMIT - 1}.")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_RULES)
        rules, earlier = active_rules(database, settings), drawn_in(database)
        open_now = [one.case_id for one in open_cases(database, hidden=hidden_cases(database, actor))]
        # Judged by the rules as they are now: flags may be behind a rule set that was just activated.
        evidence = evidence_of(database, [name for name in open_now if name not in earlier])
        pool = [name for name, one in evidence.items() if one.called and not case_flags(one, rules)]
        if not pool:
            raise ConflictError("No case can be drawn: none is read, open, unflagged, with a result and not drawn yet.")
        drawn = audit_sample(pool, size=size, seed=chosen_seed)
        made = insert_draw(
            database,
            drawn,
            seed=chosen_seed,
            asked=size,
            pool=len(pool),
            rule_version=rules.version,
            actor=actor,
        )
        flagged = [refresh_flags_in(database, settings, name, actor=actor) for name in drawn]
        if not all(flagged):
            raise ConflictError(f"The rule set {rules.version} does not flag audit cases. Switch that rule on first.")
        return made
