"""Licences of encoders: what is shown, and what acceptance refers to. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from core.errors import ModelError


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms under which an encoder's weights may be used."""

    name: str
    """Short name: "CC-BY-NC-ND-4.0", "Apache-2.0"."""
    terms: str
    """What a user must know before using the weights, in our own words, or the text of the folder's licence file."""
    url: str = ""
    """Where the full text stands."""
    must_be_accepted: bool = True
    """Whether the encoder stays closed until somebody has accepted the terms. False only for what ships with us."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.terms.strip():
            raise ModelError("A licence needs a name and its terms; weights without terms are not used.")

    @property
    def sha256(self) -> str:
        """Digest of everything that is shown, so that an acceptance does not outlive a change of the terms."""
        return hashlib.sha256("\n".join((self.name, self.terms, self.url)).encode()).hexdigest()


OWN = Licence(
    name="part of Second Read",
    terms="A tile model that is on this machine already, as a model card of Second Read; its card states the terms.",
    must_be_accepted=False,
)


def acceptance_key(encoder: str, licence: Licence) -> str:
    """Return what is recorded when somebody accepts: the encoder together with exactly these terms."""
    return f"{encoder}:{licence.sha256}"


def require_accepted(encoder: str, licence: Licence, accepted: Collection[str]) -> None:
    """Refuse an encoder whose terms nobody has accepted.

    Args:
        encoder: Its name.
        licence: Its terms.
        accepted: Keys (`acceptance_key`) of all acceptances.

    Raises:
        ModelError: the sentence names the licence and the command that shows it and accepts it.
    """
    if licence.must_be_accepted and acceptance_key(encoder, licence) not in accepted:
        where = f" ({licence.url})" if licence.url else ""
        raise ModelError(
            f"The encoder {encoder} is under the licence {licence.name}{where}, which nobody has accepted here. "
            "Read and accept it with `second-read encoder accept`."
        )
