"""A registered model as one differentiable function: tile colours in, probability of the target out.

Explanations ask for gradients, so the networks stay in float32 and unfused. What they compute is what
`models.torch_model` computes: the mean over networks and symmetries of the square, of calibrated probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.cards import SHIPPED, Member, ModelCard, load_card
from models.registry import load_network
from models.torch_model import isometric_views

GLASS = 255.0
"""What stands for "nothing here": the white that readers give beyond a slide's edge."""


class TargetNetwork(nn.Module):
    """One network with everything its input and output go through."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, member: Member, *, positive: Sequence[int]) -> None:
        """Take a network in float32 and what the card says about it."""
        super().__init__()
        self.network = network.float().eval().requires_grad_(requires_grad=False)
        self.input_px = member.input_px
        self.temperature = member.temperature
        self.positive = list(positive)
        self.register_buffer("mean", torch.tensor(member.mean_255).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(member.std_255).view(1, 3, 1, 1))

    def prepared(self, tiles: Tensor) -> Tensor:
        """(N, 3, H, W) colours 0-255 -> the network's normalised input (N, 3, input_px, input_px)."""
        size = [self.input_px, self.input_px]
        if list(tiles.shape[2:]) != size:
            shrinks = max(tiles.shape[2:]) > self.input_px
            tiles = functional.interpolate(tiles, size=size, mode="bilinear", antialias=shrinks)
        return (tiles - self.mean) / self.std

    def log_odds(self, prepared: Tensor) -> Tensor:
        """Normalised input -> (N,) log odds of the target: its classes together against all others together.

        Unlike the probability its gradient does not vanish where the network is sure.
        """
        logits: Tensor = self.network(prepared) / self.temperature
        others = [index for index in range(logits.shape[1]) if index not in self.positive]
        return torch.logsumexp(logits[:, self.positive], dim=1) - torch.logsumexp(logits[:, others], dim=1)

    def forward(self, tiles: Tensor) -> Tensor:
        """Colours 0-255 (N, 3, H, W) -> (N,) probability of the target by this network, without symmetries."""
        return torch.sigmoid(self.log_odds(self.prepared(tiles)))


class TargetModel(nn.Module):
    """All networks of a model."""

    def __init__(self, networks: Sequence[TargetNetwork], *, name: str, tile_px: int, isometries: int) -> None:
        """Take the networks; use `load_target_model` for a registered model."""
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.name = name
        self.tile_px = tile_px
        self.isometries = isometries

    @property
    def members(self) -> list[TargetNetwork]:
        """The networks, in the order of the card."""
        return [network for network in self.networks if isinstance(network, TargetNetwork)]

    def forward(self, tiles: Tensor) -> Tensor:
        """Colours 0-255 (N, 3, H, W) -> (N,) probability of the target: the mean over networks and symmetries."""
        views = [network(view) for network in self.members for view in isometric_views(tiles, number=self.isometries)]
        return torch.stack(views).mean(dim=0)


def load_target_model(name: str, *, root: Path = SHIPPED) -> TargetModel:
    """Load a registered model for explanations, on the CPU.

    Raises:
        NotFoundError: no card of that name.
        ModelError: card or weights are missing, altered or do not fit each other.
    """
    card = load_card(name, root=root)
    return target_model(card, [load_network(card, member, root=root) for member in card.members])


def target_model(card: ModelCard, networks: Sequence[nn.Module]) -> TargetModel:
    """Make a model of a card and its networks, in the order of the card's members."""
    members = [
        TargetNetwork(network, member, positive=card.positive_indices)
        for network, member in zip(networks, card.members, strict=True)
    ]
    return TargetModel(members, name=card.name, tile_px=card.tile_px, isometries=card.isometries)


def as_colours(tile: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32, 0-255."""
    return torch.tensor(np.ascontiguousarray(tile.transpose(2, 0, 1))).float()[None]


def glass_like(tiles: Tensor) -> Tensor:
    """Return blank glass of the same shape."""
    return torch.full_like(tiles, GLASS)
