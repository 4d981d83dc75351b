"""The artefact network that quality control uses, loaded once per process."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache

from core.errors import ModelError
from core.inference import TileModel
from models.cards import load_card
from models.device import prepare_for_tiles
from models.registry import load_model

ARTEFACT_MODEL = "artefacts"
"""Name of the model card."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ArtefactNetwork:
    """The network with what a report says of it."""

    model: TileModel | None
    """None where it cannot be used; the detectors then judge alone."""
    weights_sha256: str
    missing: str
    """Why it cannot be used; empty if it can."""

    @property
    def label(self) -> str:
        """Name and weights, for reports; empty without a network."""
        return f"{self.model.name} {self.weights_sha256[:12]}" if self.model is not None else ""


@lru_cache(maxsize=1)
def artefact_network(device: str) -> ArtefactNetwork:
    """Load the network.

    Args:
        device: "auto", "cpu" or "cuda".
    """
    try:
        card = load_card(ARTEFACT_MODEL)
        model = load_model(ARTEFACT_MODEL, device=prepare_for_tiles(device))
    except ModelError as err:
        log.warning("Quality control goes on without its network: %s", err)
        return ArtefactNetwork(None, "", f"No artefact network took part: {err}")
    return ArtefactNetwork(model, card.weights_sha256, "")
