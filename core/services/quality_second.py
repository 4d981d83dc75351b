"""Second quality reads: asked for by name or of anybody, chosen or drawn at random, and how far they agree.

Agreement is counted over independent reads alone: a second verdict that was given without sight of the first, against
the first reader's last verdict before it. What either makes of it afterwards stands in the log but is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate
from core.agreement.pairs import pair_estimates
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Permission
from core.services.answers import plain_text
from core.services.authority import permissions_of_actor, require
from core.services.quality_blinding import asks_of, hidden_slides
from core.settings import Settings
from core.store import quality as store
from core.store.connection import Log, open_log, reading, writing
from core.store.people import find_actor, name_key
from core.store.quality_records import QcVerdictRecord, SecondReadRecord
from core.vocabulary import QcDisposition, QcRole

__all__ = [
    "AskResult",
    "QcAgreement",
    "QcPair",
    "SecondReadRecord",
    "ask_second_reads",
    "awaited_second_reads",
    "draw_second_reads",
    "qc_agreement",
    "second_reads_to_do",
    "withdraw_second_read",
]

DISPOSITIONS = tuple(one.value for one in QcDisposition)
ACCEPTED = frozenset({QcDisposition.ACCEPT, QcDisposition.ACCEPT_WITH_LIMITATION})
ACCEPTANCE = ("accepted", "not accepted")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskResult:
    """What came of asking for second reads."""

    asked: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    """(slide, why not)."""
    seed: int | None = None
    """Of the draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QcPair:
    """A slide with two independent verdicts."""

    slide_id: str
    first: QcVerdictRecord
    second: QcVerdictRecord

    @property
    def agrees(self) -> bool:
        """Whether both decided the same."""
        return self.first.disposition is self.second.disposition


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QcAgreement:
    """How far first and second quality readers agree."""

    pairs: tuple[QcPair, ...]
    """One a slide and second reader, in the order of the slides."""
    left_out: int
    """Second verdicts that were given in sight of the first."""
    hidden: int
    """Slides left out because their verdicts are hidden from whoever asks."""
    categories: tuple[str, ...]
    table: NDArray[np.float64]
    """(K, K) pairs: first reader along the rows, second along the columns."""
    by_disposition: Mapping[str, Estimate]
    """po, kappa and ac1 over the six dispositions, which have no order."""
    acceptance: NDArray[np.float64]
    """(2, 2) accepted (with a limitation too) or not."""
    by_acceptance: Mapping[str, Estimate]


def second_reads_to_do(settings: Settings, *, actor: str) -> tuple[SecondReadRecord, ...]:
    """Return the awaited second reads that the actor may answer, those asked of this person first.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        return asks_of(database, actor=actor)


def awaited_second_reads(settings: Settings, *, actor: str) -> tuple[SecondReadRecord, ...]:
    """Return every second read that is still awaited, in the order they were asked for.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        return store.open_asks(database)


def ask_second_reads(
    settings: Settings, slide_ids: Sequence[str], *, reader: str | None = None, reason: str = "", actor: str
) -> AskResult:
    """Ask for a second quality read of slides; the verdicts on them are hidden from whoever is to give it.

    Args:
        settings: Names the home folder.
        slide_ids: The slides.
        reader: Of whom; None = of anybody who judges quality, has not judged the slide and does not ask.
        reason: Why, in a few words.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not judge quality, or the reader may not.
        NotFoundError: there is no such slide or reader.
        InputError: no slide is named, or the actor asks for their own read.
    """
    why = plain_text(reason, what="A reason")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        name = _asked_reader(database, reader, actor=actor)
        wanted = _existing(database, slide_ids)
        return _ask(database, wanted, reader=name, reason=why, seed=None, actor=actor)


def draw_second_reads(
    settings: Settings, *, share: float, seed: int, reader: str | None = None, actor: str
) -> AskResult:
    """Ask for a second read of slides drawn at random among those with one verdict; the draw can be repeated.

    Args:
        settings: Names the home folder.
        share: Of the slides that have a first verdict, no second one and none awaited; above 0, at most 1.
        seed: Of the draw; kept with every request.
        reader: As `ask_second_reads`.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not judge quality, or the reader may not.
        NotFoundError: there is no such reader.
        InputError: the share cannot be used, or there is no slide to draw from.
    """
    if not 0 < share <= 1 or seed < 0:
        raise InputError(f"Draw a share above 0 and at most 1 with a seed of 0 or more; got {share:g} and {seed}.")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        name = _asked_reader(database, reader, actor=actor)
        pool = _once_judged(database)
        if not pool:
            raise InputError("No slide has exactly one verdict. Judge slides first, then draw some for a second read.")
        count = max(1, round(share * len(pool)))
        chosen = np.random.default_rng(seed).choice(len(pool), size=count, replace=False)
        drawn = [pool[int(place)] for place in np.sort(chosen)]
        reason = f"Drawn at random: {count} of {len(pool)} slides, seed {seed}."
        return _ask(database, drawn, reader=name, reason=reason, seed=seed, actor=actor)


def withdraw_second_read(settings: Settings, ask_id: int, *, reason: str = "", actor: str) -> None:
    """Take a request for a second read back, as long as it is not answered.

    Raises:
        NotAllowedError: the actor may not judge quality.
        ConflictError: it is answered or withdrawn already.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        ask = next((one for one in store.open_asks(database) if one.ask_id == ask_id), None)
        if ask is None:
            raise ConflictError("This second read is answered or withdrawn by now. Reload the list.")
        store.withdraw_ask(database, ask, reason=plain_text(reason, what="A reason"), actor=actor)


def qc_agreement(settings: Settings, *, bootstrap: Bootstrap | None = None, actor: str) -> QcAgreement:
    """Return how far the first and the second quality readers agree, on slides whose verdicts the actor may see.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_slides(database, actor=actor)
        history = store.verdicts_ever_doubled(database)
    shown = [one for one in history if one.slide_id not in hidden]
    pairs, left_out = _independent(shown)
    table = _table(pairs, {name: place for place, name in enumerate(QcDisposition)}, size=len(DISPOSITIONS))
    acceptance = _table(pairs, {name: int(name not in ACCEPTED) for name in QcDisposition}, size=2)
    how = bootstrap or Bootstrap()
    return QcAgreement(
        pairs=pairs,
        left_out=left_out,
        hidden=len({one.slide_id for one in history} & hidden),
        categories=DISPOSITIONS,
        table=table,
        by_disposition=_three(pair_estimates(table, ordinal=False, positive_from=None, bootstrap=how)),
        acceptance=acceptance,
        by_acceptance=_three(pair_estimates(acceptance, ordinal=False, positive_from=None, bootstrap=how)),
    )


def _ask(
    database: Log, slide_ids: Sequence[str], *, reader: str | None, reason: str, seed: int | None, actor: str
) -> AskResult:
    awaited = {ask.slide_id for ask in store.open_asks(database)}
    judged = {one.slide_id for one in store.standing_verdicts(database, slide_ids) if one.reader == reader}
    skipped: dict[str, str] = {}
    for slide_id in slide_ids:
        if slide_id in awaited:
            skipped[slide_id] = "A second read is awaited already."
        elif slide_id in judged:
            skipped[slide_id] = f"{reader} has judged it already."
        else:
            store.insert_ask(database, slide_id, reader=reader, reason=reason, seed=seed, actor=actor)
    asked = tuple(slide_id for slide_id in slide_ids if slide_id not in skipped)
    return AskResult(asked=asked, skipped=tuple(skipped.items()), seed=seed)


def _asked_reader(database: Log, reader: str | None, *, actor: str) -> str | None:
    """Return the name in the log of whoever is asked."""
    if reader is None:
        return None
    person = find_actor(database, reader)
    if person is None:
        raise NotFoundError(f"Nobody is called {reader!r}. Choose somebody from the list of people.")
    if name_key(person.log_name) == name_key(actor):
        raise InputError("A second read is somebody else's. Ask another reader, or anybody.")
    if Permission.JUDGE_QUALITY not in permissions_of_actor(database, person.log_name):
        raise NotAllowedError(f"{person.log_name} does not judge quality. Ask somebody who does.")
    return person.log_name


def _existing(database: Log, slide_ids: Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(slide_ids))
    if not wanted:
        raise InputError("Choose at least one slide.")
    missing = store.missing_slides(database, wanted)
    if missing:
        raise NotFoundError(f"There is no slide {missing[0]!r}. Reload the list and choose again.")
    return wanted


def _once_judged(database: Log) -> list[str]:
    """Return the slides with a first verdict, no second one and none awaited, in the order of their ids."""
    verdicts = store.standing_verdicts(database)
    firsts = {one.slide_id for one in verdicts if one.role is QcRole.FIRST}
    seconds = {one.slide_id for one in verdicts if one.role is QcRole.SECOND}
    return sorted(firsts - seconds - {ask.slide_id for ask in store.open_asks(database)})


def _independent(history: Sequence[QcVerdictRecord]) -> tuple[tuple[QcPair, ...], int]:
    """Return the pairs of independent verdicts, and how many second readers saw the first verdict."""
    by_slide: dict[str, list[QcVerdictRecord]] = {}
    for one in history:
        by_slide.setdefault(one.slide_id, []).append(one)
    pairs: list[QcPair] = []
    left_out = 0
    for slide_id, verdicts in by_slide.items():
        seconds = {one.reader: one for one in reversed(verdicts) if one.role is QcRole.SECOND and not one.withdrawn}
        for second in seconds.values():
            first = _first_for(second, verdicts)
            if first is None:
                continue
            if second.blinded_to_first:
                pairs.append(QcPair(slide_id=slide_id, first=first, second=second))
            else:
                left_out += 1
    return tuple(sorted(pairs, key=lambda pair: (pair.slide_id, pair.second.verdict_id))), left_out


def _first_for(second: QcVerdictRecord, verdicts: Sequence[QcVerdictRecord]) -> QcVerdictRecord | None:
    """Return the first verdict that stood when a second one was given; if none did, a later one that was blinded."""
    firsts = [one for one in verdicts if one.role is QcRole.FIRST and one.reader != second.reader]
    before = [one for one in firsts if one.verdict_id < second.verdict_id]
    if before and not before[-1].withdrawn:
        return before[-1]
    after = (one for one in firsts if one.verdict_id > second.verdict_id and not one.withdrawn)
    return next((one for one in after if one.blinded_to_first), None)


def _table(pairs: Sequence[QcPair], code: Mapping[QcDisposition, int], *, size: int) -> NDArray[np.float64]:
    table = np.zeros((size, size))
    for pair in pairs:
        if pair.first.disposition is not None and pair.second.disposition is not None:
            table[code[pair.first.disposition], code[pair.second.disposition]] += 1
    return table


def _three(statistics: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {name: statistics[name] for name in ("po", "kappa", "ac1")}
