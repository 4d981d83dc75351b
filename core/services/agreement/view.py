"""Agreement straight from the log: standing reads in one scheme, the model as one more reader, before and after it.

Cases on which a blinded opinion is awaited from whoever asks are left out. Who may not see the profile of another
reader gets the others as "reader 1", "reader 2", in an order of their own for each scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.agreement.estimates import Bootstrap, Estimate
from core.agreement.influence import model_influence
from core.agreement.profiles import CaseSpread, ConfidenceLevel, ReaderProfile
from core.agreement.report import AgreementReport, PairAgreement, agreement_report
from core.roles import Permission
from core.schemes import Scheme
from core.services.agreement.input import HERE, MODEL, PLAIN, AgreementInput, Reads, agreement_input, code_in
from core.services.people.authority import require
from core.services.people.reader_names import pseudonyms
from core.services.rules.scheme_library import schemes_in
from core.services.triage.board import hidden_cases
from core.settings import Settings
from core.store.connection import open_log, reading, rows_of
from core.vocabulary import ReadRole

__all__ = [
    "HERE",
    "MODEL",
    "PLAIN",
    "AgreementChoices",
    "AgreementInput",
    "AgreementReport",
    "AgreementView",
    "Bootstrap",
    "CaseSpread",
    "ConfidenceLevel",
    "Estimate",
    "PairAgreement",
    "ReaderProfile",
    "Reads",
    "SchemeChoice",
    "agreement_choices",
    "agreement_input",
    "agreement_view",
    "code_in",
    "pseudonyms",
    "view_of",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AgreementView:
    """Agreement of the reads in the log."""

    scheme: Scheme
    report: AgreementReport
    influence: Mapping[str, Estimate]
    """What seeing the model's result does to a read; see `core.agreement.influence`."""
    pairs: int
    """Reads recorded both before and after the model's result, where the model has a call."""
    pairs_with_reference: int
    """Of these, on cases with a resolution: only there it can be said who was right."""
    hidden: int
    """Cases left out for who asks."""
    anonymous: bool
    """Whether the names of other readers are withheld."""


@dataclass(frozen=True, slots=True)
class SchemeChoice:
    """A scheme in which reads can be compared."""

    scheme: Scheme
    reads: int
    readers: int
    cases: int


@dataclass(frozen=True, slots=True)
class AgreementChoices:
    """What there is to choose from."""

    schemes: tuple[SchemeChoice, ...]
    """Those with reads, most cases first."""
    sources: tuple[tuple[str, int], ...]
    """Where reads come from, with how many; `HERE` first."""
    systems: tuple[str, ...]
    """Other systems with predictions."""
    hidden: int
    """Cases left out for who asks."""


def agreement_view(
    settings: Settings,
    *,
    scheme: str = PLAIN,
    system: str | None = None,
    bootstrap: Bootstrap | None = None,
    actor: str,
) -> AgreementView:
    """Gather and compute at once; see `agreement_input` and `view_of`.

    Raises:
        NotAllowedError: the actor may not see agreement.
        InputError: there is no such scheme, or fewer than two readers have a read in it.
    """
    return view_of(agreement_input(settings, scheme=scheme, system=system, actor=actor), bootstrap=bootstrap)


def view_of(gathered: AgreementInput, *, bootstrap: Bootstrap | None = None) -> AgreementView:
    """Compute the agreement of what was gathered; the same input gives the same numbers."""
    how = bootstrap or Bootstrap()
    pairs, reference = gathered.pairs, gathered.pairs.reference
    return AgreementView(
        scheme=gathered.scheme,
        report=agreement_report(
            gathered.table,
            model=gathered.model,
            positive_from=gathered.positive_from,
            confidence=gathered.confidence,
            bootstrap=how,
        ),
        influence=model_influence(pairs, bootstrap=how),
        pairs=len(pairs.case),
        pairs_with_reference=0 if reference is None else int((reference >= 0).sum()),
        hidden=gathered.hidden,
        anonymous=gathered.anonymous,
    )


def agreement_choices(settings: Settings, *, actor: str) -> AgreementChoices:
    """Return which schemes, sources and other systems there are to choose from.

    Raises:
        NotAllowedError: the actor may not see agreement.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_cases(database, actor)
        known = schemes_in(database)
        rows = [
            row
            for row in rows_of(database, "SELECT case_id, reader, category, scheme, source, role FROM diagnoses")
            if row["case_id"] not in hidden and row["role"] != ReadRole.CONSENSUS.value
        ]
        systems = rows_of(database, "SELECT DISTINCT system, case_id FROM imported_predictions")
    plain = [(row["case_id"], row["reader"]) for row in rows if row["category"] in known[PLAIN].codes]
    read = {PLAIN: plain} | {
        name: [(row["case_id"], row["reader"]) for row in rows if row["scheme"] == name]
        for name in known
        if name != PLAIN
    }
    found = [_choice(known[name], places) for name, places in read.items() if places]
    sources = [row["source"] or HERE for row in rows]
    return AgreementChoices(
        schemes=tuple(sorted(found, key=lambda one: (-one.cases, one.scheme.title))),
        sources=tuple((name, sources.count(name)) for name in sorted(set(sources), key=lambda one: (one != HERE, one))),
        systems=tuple(sorted({row["system"] for row in systems if row["case_id"] not in hidden})),
        hidden=len(hidden),
    )


def _choice(scheme: Scheme, places: Iterable[tuple[str, str]]) -> SchemeChoice:
    listed = list(places)
    return SchemeChoice(
        scheme,
        reads=len(listed),
        readers=len({reader for _, reader in listed}),
        cases=len({case_id for case_id, _ in listed}),
    )
