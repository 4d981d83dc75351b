"""Gated attention over the tiles of a slide, Ilse, Tomczak and Welling 2018 (arXiv:1802.04712).

A slide is a bag of tile embeddings with one label. The network gives every tile a weight (the weights of a slide sum to
1), adds the tiles up by their weights, and judges the sum. The weights say what the judgement was made from relative to
the slide's other tiles; they are no probabilities and no explanation.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Reason: torch is typed in part only.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import InputError, ModelError

HIDDEN = 128
"""Length of a tile's vector inside the network."""
GATE = 64
"""Units of each of the two branches that make the attention."""
_LEAST_SPREAD = 1e-6
"""Embedding entries that vary less than this over the training tiles are left unscaled."""


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """What the network says about one slide."""

    probability: float
    """Of the target, 0-1, calibrated."""
    attention: NDArray[np.float64]
    """(N,) at least 0, sums to 1; relative to this slide only."""


class GatedAttention(nn.Module):
    """Bags of tile embeddings -> one logit a bag, and the attention of every tile."""

    def __init__(self, embedding_size: int, *, hidden: int = HIDDEN, gate: int = GATE, dropout: float = 0.25) -> None:
        """Make a network with random weights, drawn from torch's generator.

        Args:
            embedding_size: D, length of a tile's embedding.
            hidden: Length of a tile's vector inside the network.
            gate: Units of each attention branch.
            dropout: Share of the hidden units that is silenced in training.
        """
        super().__init__()
        self.embedding_size = embedding_size
        self.centre = nn.Buffer(torch.zeros(embedding_size))
        self.spread = nn.Buffer(torch.ones(embedding_size))
        self.temperature = nn.Buffer(torch.ones(1))
        self.project = nn.Sequential(nn.Linear(embedding_size, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.content = nn.Linear(hidden, gate)
        self.gate = nn.Linear(hidden, gate)
        self.weigh = nn.Linear(gate, 1)
        self.judge = nn.Linear(hidden, 1)

    def forward(self, bags: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Judge bags.

        Args:
            bags: (B, N, D) embeddings; what stands in padded places does not matter.
            mask: (B, N) True where there is a tile; at least one in every bag.

        Returns:
            Logits (B,), not yet divided by the temperature, and attention (B, N), exactly 0 in padded places.
        """
        # Padding is overwritten, not multiplied away: 0 times an infinite value would still spoil the sum.
        known = bags.masked_fill(~mask[..., None], 0.0)
        tiles = self.project((known - self.centre) / self.spread)  # (B, N, hidden)
        gated = torch.tanh(self.content(tiles)) * torch.sigmoid(self.gate(tiles))  # (B, N, gate)
        scores = self.weigh(gated).squeeze(-1).masked_fill(~mask, -torch.inf)  # (B, N)
        attention = torch.softmax(scores, dim=1)
        slide = (attention[:, None] @ tiles).squeeze(1)  # (B, hidden)
        return self.judge(slide).squeeze(-1), attention

    def standardise_to(self, tiles: NDArray[np.float32]) -> None:
        """Take mean and deviation of the training tiles (M, D) as the zero and the unit of every embedding entry."""
        spread = tiles.std(axis=0)
        self.centre.copy_(torch.from_numpy(tiles.mean(axis=0)))
        self.spread.copy_(torch.from_numpy(np.where(spread > _LEAST_SPREAD, spread, 1).astype(np.float32)))


def pad(bags: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Stack bags of different length.

    Args:
        bags: (N_i, D) each, N_i at least 1.

    Returns:
        (B, N, D) with zeros behind the shorter bags, and the mask (B, N).

    Raises:
        InputError: a bag has no tile.
    """
    lengths = [len(bag) for bag in bags]
    if not lengths or min(lengths) == 0:
        raise InputError("Attention needs at least one tile in every slide.")
    stacked = torch.zeros(len(bags), max(lengths), bags[0].shape[1])
    mask = torch.zeros(len(bags), max(lengths), dtype=torch.bool)
    for row, bag in enumerate(bags):
        stacked[row, : len(bag)] = torch.from_numpy(np.ascontiguousarray(bag))
        mask[row, : len(bag)] = True
    return stacked, mask


def attend(network: GatedAttention, embeddings: NDArray[np.float32]) -> Attended:
    """Judge one slide.

    Args:
        network: Trained.
        embeddings: (N, D), N at least 1.

    Raises:
        InputError: there are no tiles, or embeddings of another length than those it was trained on.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != network.embedding_size:
        raise InputError(f"Attention was trained on {network.embedding_size} numbers a tile, got {embeddings.shape}.")
    network.eval()
    with torch.inference_mode():
        logits, attention = network(*pad([embeddings]))
        probability = torch.sigmoid(logits / network.temperature)
    return Attended(float(probability), attention[0].double().numpy())


def arrays_of(network: GatedAttention) -> dict[str, NDArray[np.float32]]:
    """Return the weights as plain arrays, for a safetensors file."""
    return {name: tensor.detach().cpu().numpy().astype(np.float32) for name, tensor in network.state_dict().items()}


def network_from(arrays: Mapping[str, NDArray[np.floating]]) -> GatedAttention:
    """Build the network that `arrays_of` was taken from.

    Raises:
        ModelError: an array is missing, left over, or has another shape; it is named.
    """
    try:
        hidden, embedding_size = arrays["project.0.weight"].shape
        network = GatedAttention(embedding_size, hidden=hidden, gate=len(arrays["content.bias"]))
        network.load_state_dict(
            {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in arrays.items()}
        )
    except (KeyError, ValueError, RuntimeError) as err:
        raise ModelError(f"These weights are not those of a gated attention network: {err}.") from err
    return network.eval()
