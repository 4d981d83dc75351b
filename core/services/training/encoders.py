"""Encoders of this installation: which there are, whose licence was accepted by whom, and opening one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import ModelError
from core.roles import Permission
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.events import append_event, events_of
from models.cards import list_cards
from models.device import prepare_for_tiles
from models.encoders.licences import Licence, acceptance_key
from models.encoders.loading import MODEL_PREFIX, EncoderFacts, describe_encoder, load_encoder
from models.encoders.protocol import Encoder

FOLDER = "encoders"
"""Below the home: one folder an encoder, which can then be named by its folder's name alone."""

LICENCE_ACCEPTED = "encoder.licence_accepted"
"""Action of the event that an acceptance is."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody accepted the terms of an encoder on this installation."""

    actor: str
    at_utc: datetime
    licence: str
    terms_sha256: str
    """Of exactly the terms that were shown; other terms need another acceptance."""


@dataclass(frozen=True, slots=True)
class ListedEncoder:
    """An encoder as a list shows it."""

    spec: str
    facts: EncoderFacts | None
    acceptance: Acceptance | None
    """Of the terms as they are now."""
    problem: str = ""
    """Why it cannot be used, if it cannot."""

    @property
    def usable(self) -> bool:
        """Whether the terms allow opening it."""
        return self.facts is not None and (not self.facts.licence.must_be_accepted or self.acceptance is not None)


def list_encoders(settings: Settings) -> tuple[ListedEncoder, ...]:
    """Return the tile models, the backbone whose weights are installed, and the folders in the home."""
    folder = settings.home / FOLDER
    found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    specs = [*(f"{MODEL_PREFIX}{card.name}" for card in list_cards()), "efficientnet_lite0", *found]
    return tuple(_listed(settings, spec) for spec in specs)


def facts_of(settings: Settings, spec: str) -> EncoderFacts:
    """Return what can be said about one encoder without loading its weights.

    Raises:
        InputError: the spec means nothing.
        NotFoundError: no tile model of that name.
        ModelError: its folder does not say enough.
    """
    return describe_encoder(resolve(settings, spec))


def resolve(settings: Settings, spec: str) -> str:
    """Return the spec that `load_encoder` takes: a folder in the home stands for its path.

    A folder may be named by its own name ("UNI") or by that of the encoder in it ("uni"), as cards keep it.
    """
    below = settings.home / FOLDER
    if not spec or Path(spec).name != spec or not below.is_dir():
        return spec
    folders = [path for path in sorted(below.iterdir()) if path.is_dir()]
    named = [path for path in folders if path.name == spec] or [path for path in folders if _holds(path, spec)]
    return str(named[0]) if named else spec


def acceptance_of(settings: Settings, encoder: str, licence: Licence) -> Acceptance | None:
    """Return who last accepted exactly these terms of an encoder, or None."""
    with open_log(settings) as database:
        events = events_of(database, [_entity(encoder)], action=LICENCE_ACCEPTED)
    for event in reversed(events):
        if event.payload.get("terms_sha256") == licence.sha256:
            return Acceptance(event.actor, event.at_utc, str(event.payload.get("licence")), licence.sha256)
    return None


def accept_licence(settings: Settings, spec: str, *, shown_sha256: str, actor: str) -> None:
    """Record that somebody read and accepted the terms of an encoder.

    Args:
        settings: Whose home.
        spec: The encoder.
        shown_sha256: Digest of the terms that the actor was shown (`Licence.sha256`).
        actor: Who accepts.

    Raises:
        NotAllowedError: the actor may not.
        ModelError: the terms changed since they were shown, or there is nothing to accept.
        InputError, NotFoundError: as `facts_of`.
    """
    facts = facts_of(settings, spec)
    if not facts.licence.must_be_accepted:
        raise ModelError(f"{facts.name} needs no acceptance: {facts.licence.terms}")
    if facts.licence.sha256 != shown_sha256:
        raise ModelError(f"The terms of {facts.name} changed since they were shown. Read them again.")
    payload = {"licence": facts.licence.name, "url": facts.licence.url, "terms_sha256": shown_sha256}
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.OPERATE)
        append_event(database, LICENCE_ACCEPTED, entity=_entity(facts.name), actor=actor, payload=payload)


def open_encoder(settings: Settings, spec: str) -> Encoder:
    """Load an encoder whose terms are accepted, on the device of the settings.

    On a CPU the whole process is set up for one thread a call, as for analysing (`device.prepare_for_tiles`).

    Raises:
        InputError, NotFoundError: as `facts_of`.
        ModelError: the terms are not accepted, or the weights cannot be used.
    """
    path = resolve(settings, spec)
    facts = describe_encoder(path)
    known = acceptance_of(settings, facts.name, facts.licence)
    accepted = () if known is None else (acceptance_key(facts.name, facts.licence),)
    return load_encoder(path, device=prepare_for_tiles(settings.device), accepted_licences=accepted)


def _listed(settings: Settings, spec: str) -> ListedEncoder:
    try:
        facts = facts_of(settings, spec)
    except ModelError as err:
        return ListedEncoder(spec, None, None, str(err))
    return ListedEncoder(spec, facts, acceptance_of(settings, facts.name, facts.licence))


def _holds(folder: Path, name: str) -> bool:
    try:
        return describe_encoder(str(folder)).name == name
    except ModelError:
        return False


def _entity(encoder: str) -> str:
    return f"encoder:{encoder}"
