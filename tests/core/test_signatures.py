"""Signatures: over one record as it stands, under the signer's own name, with a meaning, once."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest
from consult_kit import BENIGN, MALIGNANT, ask, flagged_case, give, settled
from people_kit import enrol

from core.domain import CaseStatus
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Role
from core.services.cases import review
from core.services.consultations import resolution, signing
from core.settings import Settings
from core.store.connection import open_log
from core.store.resolutions import record_digest
from core.store.verification import verify
from core.vocabulary import SignatureMeaning, SignedKind

M = SignatureMeaning


@pytest.fixture
def case(settings: Settings) -> Settings:
    """Case C1, read by ann (read 1)."""
    flagged_case(settings)
    return settings


def sign(settings: Settings, meaning: SignatureMeaning = M.AUTHORSHIP, *, actor: str = "ann", name: str = "", **more):
    return signing.sign_read(settings, 1, meaning=meaning, printed_name=name or actor, actor=actor, **more)


def test_a_signature_names_record_hash_signer_meaning_and_time(case: Settings) -> None:
    made = sign(case)
    with open_log(case) as database:
        assert made.record_sha256 == record_digest(database, SignedKind.READ, 1)
    assert (made.printed_name, made.meaning, made.kind, made.record_id) == ("ann", M.AUTHORSHIP, SignedKind.READ, 1)
    assert abs((datetime.now(UTC) - made.created_at).total_seconds()) < 60
    (checked,) = signing.signatures(case, "C1", actor="ann")
    assert (checked.signature, checked.holds) == (made, True)
    assert review.case_history(case, "C1")[-1].action == "signature.recorded"
    assert verify(case).ok


def test_the_printed_name_is_the_signers_without_the_mark_of_a_demonstration(case: Settings) -> None:
    enrol(case, "Fay (demonstration)", roles=(Role.PATHOLOGIST,))
    review.open_case(case, "C1", actor="Fay (demonstration)")
    with pytest.raises(InputError, match="type Fay"):
        sign(case, M.REVIEW, actor="Fay (demonstration)", name="ann")
    made = sign(case, M.REVIEW, actor="Fay (demonstration)", name=" fay ")
    assert (made.printed_name, made.signer) == ("Fay", "Fay (demonstration)")


@pytest.mark.parametrize(
    ("meaning", "actor", "words"),
    [
        (M.AUTHORSHIP, "bob", "Only who wrote it"),
        (M.REVIEW, "ann", "Nobody signs as the reviewer"),
        (M.APPROVAL, "vic", "may not do this"),
        (M.APPROVAL, "quinn", "may not do this"),
        (M.APPROVAL, "root (command line)", "may not do this"),
    ],
)
def test_who_may_not_sign_so(case: Settings, meaning: SignatureMeaning, actor: str, words: str) -> None:
    with pytest.raises(NotAllowedError, match=words):
        sign(case, meaning, actor=actor)
    assert signing.signatures(case, "C1") == ()


def test_once_with_a_meaning_and_never_what_is_superseded(case: Settings) -> None:
    made = sign(case, key="form")
    assert sign(case, key="form") == made
    with pytest.raises(ConflictError, match="already"):
        sign(case)
    sign(case, M.RESPONSIBILITY)
    sign(case, M.REVIEW, actor="bob")
    review.record_read(case, "C1", MALIGNANT, actor="ann")
    with pytest.raises(ConflictError, match="superseded"):
        sign(case, M.APPROVAL, actor="bob")
    with pytest.raises(NotFoundError, match="no read"):
        signing.sign_read(case, 99, meaning=M.AUTHORSHIP, printed_name="ann", actor="ann")


def test_the_first_signature_of_a_resolution_makes_the_case_signed_and_others_follow(case: Settings) -> None:
    settled(case)
    again = signing.sign_resolution(case, "C1", meaning=M.REVIEW, printed_name="bob", actor="bob")
    assert [one.signature.signer for one in signing.signatures(case, "C1")] == ["ann", "bob"]
    with pytest.raises(ConflictError, match="by now"):
        signing.sign_resolution(
            case, "C1", meaning=M.APPROVAL, printed_name="bob", expected=CaseStatus.RESOLVED, actor="bob"
        )
    resolution.reopen(case, "C1", reason="New slides", actor="ann")
    with pytest.raises(ConflictError, match="Signing the resolution"):
        signing.sign_resolution(case, "C1", meaning=M.APPROVAL, printed_name="bob", actor="bob")
    assert again.record_id == 1


def test_a_blinded_consultant_neither_signs_nor_sees_signatures(case: Settings) -> None:
    sign(case)
    asked = ask(case)
    assert signing.signatures(case, "C1", actor="cleo") == ()
    with pytest.raises(ConflictError, match="yet"):
        sign(case, M.REVIEW, actor="cleo")
    given = give(case, asked, BENIGN, actor="cleo")
    own = signing.sign_read(case, given.read.diagnosis_id, meaning=M.AUTHORSHIP, printed_name="cleo", actor="cleo")
    assert own.meaning is M.AUTHORSHIP


def test_a_record_changed_behind_the_log_no_longer_holds(case: Settings) -> None:
    sign(case)
    connection = sqlite3.connect(case.log_path)
    connection.execute("DROP TRIGGER diagnoses_no_update")
    connection.execute("UPDATE diagnoses SET category = 'malignant' WHERE diagnosis_id = 1")
    connection.commit()
    connection.close()
    assert [one.holds for one in signing.signatures(case, "C1")] == [False]
    assert not verify(case).ok
