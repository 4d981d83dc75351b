"""Whatever people do in whatever order: the log only grows, nobody is unblinded early, nobody reviews themselves."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from consult_kit import BENIGN, MAJOR, MALIGNANT, department
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_kit import add_slide, listed, run_of, save

from core.domain import CaseStatus, ReviewVerdict
from core.errors import SecondReadError
from core.services.cases import review
from core.services.cases.visibility import visibility
from core.services.cases.worklist import case_detail
from core.services.consultations import consult, opinion, resolution, signing
from core.services.consultations import lists as consult_lists
from core.settings import Settings
from core.states import BASE, TRANSITIONS, Step
from core.store.connection import open_log
from core.store.consult_records import NewResolution
from core.store.migrations import LOG_TABLES
from core.store.people import name_key
from core.store.verification import verify
from core.vocabulary import (
    Blinding,
    ConsultationRole,
    ConsultationType,
    ReadRole,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
)

PEOPLE = st.sampled_from(["ann", "bob", "cleo", "dan", "Eve", "vic", "Cleo"])
NUMBERS = st.integers(1, 4)
ANSWERS = st.sampled_from([BENIGN, MALIGNANT])
SCORE = 0.951357


class Department(RuleBasedStateMachine):
    """Seven names, one case, every service in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="stateful-"))
        self.settings = Settings(home=self.home / "home")
        self.rows: dict[str, list[tuple[object, ...]]] = {}

    @initialize()
    def begin(self) -> None:
        slide_id = add_slide(self.settings, "slide", case_id="C1")
        save(self.settings, run_of(slide_id, score=SCORE))
        department(self.settings)
        review.record_read(self.settings, "C1", BENIGN, actor="ann")

    def teardown(self) -> None:
        if self.rows:
            assert verify(self.settings).ok
        shutil.rmtree(self.home)

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something; what is refused must have left no row."""
        before = self.dump()
        try:
            action()
        except SecondReadError:
            assert self.dump() == before

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        connection = sqlite3.connect(self.settings.log_path)
        found = {name: connection.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in LOG_TABLES}  # noqa: S608
        connection.close()
        return found

    @rule(actor=PEOPLE, consultant=PEOPLE, blinding=st.sampled_from(Blinding), role=st.sampled_from(ConsultationRole))
    def ask(self, actor: str, consultant: str, blinding: Blinding, role: ConsultationRole) -> None:
        self.attempt(
            lambda: consult.request(
                self.settings,
                "C1",
                consultant=consultant,
                role=role,
                type=ConsultationType.MODEL_DISCORDANCE,
                question="Is it?",
                blinding=blinding,
                actor=actor,
            )
        )

    @rule(actor=PEOPLE, blinding=st.sampled_from(Blinding))
    def ask_a_pool(self, actor: str, blinding: Blinding) -> None:
        kind = ConsultationType.DOUBLE_REPORT
        self.attempt(
            lambda: consult.request(
                self.settings, "C1", pool="all", type=kind, question="Is it?", blinding=blinding, actor=actor
            )
        )

    @rule(number=NUMBERS, actor=PEOPLE, answer=ANSWERS, key=st.sampled_from([None, "form"]))
    def take_on_and_answer(self, number: int, actor: str, answer: object, key: str | None) -> None:
        self.attempt(lambda: opinion.acknowledge(self.settings, number, actor=actor))
        self.attempt(lambda: opinion.submit_opinion(self.settings, number, answer, key=key, actor=actor))

    @rule(actor=st.sampled_from(["bob", "cleo", "dan", "Eve"]), answer=ANSWERS)
    def answer_what_is_asked(self, actor: str, answer: object) -> None:
        """As people do: from the inbox."""
        asked = consult_lists.inbox(self.settings, actor=actor)
        if asked:
            self.take_on_and_answer(asked[0].consultation_id, actor, answer, None)

    @rule(answer=ANSWERS, agree=st.booleans(), times=st.integers(1, 4))
    def go_on(self, answer: object, agree: bool, times: int) -> None:
        """Do what the case waits for, as a department would, so that the later states are reached as well."""
        for _ in range(times):
            self.go_on_once(answer, agree=agree)

    def go_on_once(self, answer: object, *, agree: bool) -> None:
        status = consult_lists.case_consult(self.settings, "C1", actor=None).status
        given = consult_lists.case_consult(self.settings, "C1", actor=None).opinions
        if status in BASE:
            self.ask("ann", "cleo" if not given else "dan", Blinding.FULL, ConsultationRole.SECOND)
        elif status is CaseStatus.OPINION_RECEIVED:
            for one in given:
                self.compare(one.opinion_id, "ann")
            self.decide("ann", agree)
        elif status is CaseStatus.ADJUDICATION:
            self.ask("ann", "dan", Blinding.FULL, ConsultationRole.ADJUDICATOR)
            self.resolve("ann", ResolutionMethod.UNRESOLVED, 1)
        elif status is CaseStatus.AGREED:
            self.resolve("ann", ResolutionMethod.FIRST_UPHELD, 1)
        elif status is CaseStatus.RESOLVED:
            self.sign("ann", SignatureMeaning.RESPONSIBILITY)
        for name in ("cleo", "dan"):
            self.answer_what_is_asked(name, answer)

    @rule(number=NUMBERS, actor=PEOPLE)
    def take_on(self, number: int, actor: str) -> None:
        self.attempt(lambda: opinion.acknowledge(self.settings, number, actor=actor))

    @rule(number=NUMBERS, actor=PEOPLE)
    def decline(self, number: int, actor: str) -> None:
        self.attempt(lambda: opinion.decline(self.settings, number, reason="No time", actor=actor))

    @rule(number=NUMBERS, actor=PEOPLE, consultant=PEOPLE)
    def reassign(self, number: int, actor: str, consultant: str) -> None:
        self.attempt(lambda: consult.reassign(self.settings, number, consultant=consultant, reason="Load", actor=actor))

    @rule(number=NUMBERS, actor=PEOPLE)
    def withdraw(self, number: int, actor: str) -> None:
        self.attempt(lambda: consult.withdraw(self.settings, number, reason="Enough", actor=actor))

    @rule(actor=PEOPLE, answer=ANSWERS, role=st.sampled_from(ReadRole))
    def read(self, actor: str, answer: object, role: ReadRole) -> None:
        self.attempt(lambda: review.record_read(self.settings, "C1", answer, role=role, actor=actor))

    @rule(actor=PEOPLE)
    def open(self, actor: str) -> None:
        self.attempt(lambda: review.open_case(self.settings, "C1", actor=actor))

    @rule(actor=PEOPLE)
    def reveal(self, actor: str) -> None:
        self.attempt(lambda: review.reveal_model(self.settings, "C1", actor=actor))

    @rule(actor=PEOPLE)
    def answer_the_model(self, actor: str) -> None:
        self.attempt(lambda: review.record_review(self.settings, "C1", verdict=ReviewVerdict.AGREE, actor=actor))

    @rule(number=NUMBERS, actor=PEOPLE)
    def compare(self, number: int, actor: str) -> None:
        self.attempt(lambda: resolution.compare(self.settings, number, MAJOR, actor=actor))

    @rule(actor=PEOPLE, agree=st.booleans())
    def decide(self, actor: str, agree: bool) -> None:
        what = resolution.agree if agree else resolution.adjudicate
        self.attempt(lambda: what(self.settings, "C1", actor=actor))

    @rule(actor=PEOPLE, method=st.sampled_from(ResolutionMethod), number=NUMBERS)
    def resolve(self, actor: str, method: ResolutionMethod, number: int) -> None:
        new = NewResolution(
            method=method,
            diagnosis_id=None if method is ResolutionMethod.UNRESOLVED else number,
            report_action=ReportAction.NONE,
            communicated_to="",
            communicated_at=None,
            learning_note="",
        )
        self.attempt(lambda: resolution.resolve(self.settings, "C1", new, actor=actor))

    @rule(actor=PEOPLE, meaning=st.sampled_from(SignatureMeaning))
    def sign(self, actor: str, meaning: SignatureMeaning) -> None:
        self.attempt(
            lambda: signing.sign_resolution(self.settings, "C1", meaning=meaning, printed_name=actor, actor=actor)
        )

    @rule(actor=PEOPLE)
    def reopen(self, actor: str) -> None:
        self.attempt(lambda: resolution.reopen(self.settings, "C1", reason="New levels", actor=actor))

    @invariant()
    def the_log_only_grows(self) -> None:
        if not self.settings.log_path.exists():
            return
        now = self.dump()
        for name, rows in self.rows.items():
            assert now[name][: len(rows)] == rows, name
        self.rows = now

    @invariant()
    def moves_are_those_of_the_table(self) -> None:
        state = CaseStatus.UNREAD
        for _, _, step, before, after, *_ in self.rows.get("case_states", []):
            assert before == state.value
            assert TRANSITIONS[state, Step(step)].value == after
            state = CaseStatus(after)

    @invariant()
    def nobody_reviews_a_case_of_their_own(self) -> None:
        """By the bare rows: whose opinion stands, and what that person did in the case before."""
        if not self.rows:
            return
        with open_log(self.settings) as database:
            query = """SELECT opinions.author, diagnoses.diagnosis_id, consultations.requester
                FROM opinions JOIN diagnoses USING (diagnosis_id) JOIN consultations USING (consultation_id)"""
            given = list(database.query(query))
            reads = list(database.query("SELECT diagnosis_id, reader FROM diagnoses"))
        for one in given:
            earlier = {name_key(read["reader"]) for read in reads if read["diagnosis_id"] < one["diagnosis_id"]}
            assert name_key(one["author"]) not in earlier | {name_key(one["requester"])}

    @invariant()
    def nobody_is_unblinded_early(self) -> None:
        """By the bare rows: who owes a blinded opinion has had no reveal, and sees nothing by any service."""
        if not self.rows:
            return
        with open_log(self.settings) as database:
            owed = list(
                database.query("""SELECT steps.consultant, consultations.blinding FROM consultations
                JOIN consultation_steps AS steps USING (consultation_id)
                WHERE step_id = (SELECT max(step_id) FROM consultation_steps AS later
                                 WHERE later.consultation_id = consultations.consultation_id)
                AND steps.state IN ('requested', 'acknowledged') AND steps.consultant IS NOT NULL
                AND consultations.blinding <> 'open'""")
            )
            query = "SELECT actor FROM events WHERE action = 'model.revealed'"
            revealed = {row["actor"] for row in database.query(query)}
        for one in owed:
            assert one["consultant"] not in revealed
            seen = visibility(self.settings, "C1", actor=one["consultant"])
            assert not seen.model
            assert not seen.other_opinions
            detail = case_detail(self.settings, "C1", actor=one["consultant"])
            told = repr((listed(self.settings, actor=one["consultant"]), detail.case, detail.runs, detail.flags))
            assert str(SCORE)[:6] not in told
            if one["blinding"] == "full":
                assert detail.diagnoses == ()


Department.TestCase.settings = hypothesis_settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestDepartment = Department.TestCase
