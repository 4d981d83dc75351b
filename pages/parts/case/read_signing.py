"""Signing a read on the case screen: one's own as its author, that of others as reviewed or approved."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User
from core.services.consultations.signable import read_to_sign
from core.services.consultations.signing import CheckedSignature, sign_read
from core.settings import Settings
from core.store.records import DiagnosisRecord
from core.vocabulary import SignatureMeaning, SignedKind
from pages.parts.common.badges import Look, plain, show_badges, time_in_words
from pages.parts.common.forms import dialog_ends, form_id, send
from pages.parts.consultations.resolving import ask_printed_name, read_in_words
from pages.parts.consultations.words import MEANINGS

HOLDS = Look("Unchanged since it was signed", "green", ":material/verified:")
BROKEN = Look("What was signed is not what it was", "red", ":material/gpp_bad:")


def show_signature(one: CheckedSignature) -> None:
    """Show who signed what when, and whether it is still what was signed."""
    signed = one.signature
    show_badges([HOLDS if one.holds else BROKEN])
    st.caption(
        f"Signed by **{plain(signed.printed_name)}**, {MEANINGS[signed.meaning].lower()}, "
        f"{time_in_words(signed.created_at)}.  \nSHA-256 `{signed.record_sha256}`"
    )


def show_read_signing(
    settings: Settings, read: DiagnosisRecord, *, signed: Sequence[CheckedSignature], user: User, place: str
) -> None:
    """Show the signatures on a read that stands, and the button that signs it.

    Args:
        settings: Names the home folder.
        read: A read that no other supersedes.
        signed: Signatures of the case.
        user: Who looks.
        place: Where on the page this stands; part of the button's key.
    """
    own = [
        one for one in signed if one.signature.kind is SignedKind.READ and one.signature.record_id == read.diagnosis_id
    ]
    for one in own:
        show_signature(one)
    if not user.may(Permission.SIGN) or any(one.signature.signer == user.actor for one in own):
        return
    mine = read.reader == user.actor
    if st.button(
        "Sign my read" if mine else "Sign this read",
        key=f"sign_read_{read.diagnosis_id}_{place}",
        icon=":material/draw:",
        type="tertiary",
        help="Puts your name, a meaning and the time under this read, with its SHA-256.",
    ):
        st.dialog("Sign the read", icon=":material/draw:", width="medium")(_sign)(settings, read.diagnosis_id, user)


def _sign(settings: Settings, diagnosis_id: int, user: User) -> None:
    try:
        found = read_to_sign(settings, diagnosis_id, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    st.markdown(plain(read_in_words(found.read)))
    if found.read.text:
        st.caption(plain(found.read.text))
    st.caption(f"SHA-256 of this record, which the signature keeps:  \n`{found.sha256}`")
    name = f"sign_read_{diagnosis_id}"
    key = form_id(name)
    chosen = st.segmented_control(
        "Meaning of the signature",
        list(found.meanings),
        default=found.meanings[0],
        required=True,
        format_func=MEANINGS.__getitem__,
        key=f"meaning_{key}",
        persist_state="page",
    )
    typed = ask_printed_name(user, key=key)
    if dialog_ends("Sign", icon=":material/draw:", name=name):
        send(
            name,
            lambda once: sign_read(
                settings,
                diagnosis_id,
                meaning=SignatureMeaning(chosen),
                printed_name=typed,
                key=once,
                actor=user.actor,
            ),
            done="Signed.",
        )
