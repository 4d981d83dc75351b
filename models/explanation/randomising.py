"""The same networks with random weights, for the sanity check of maps (Adebayo et al. 2018, arXiv:1810.03292)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.explanation.target_model import TargetModel


def with_random_weights(model: TargetModel, *, seed: int) -> TargetModel:
    """Return a copy of a model in which every learnt weight is drawn anew.

    All layers at once, from the head to the first convolution. Each tensor is drawn from a normal distribution with
    the mean and deviation of its own values, so that signals neither die out nor explode on their way: what is lost is
    what was learnt, not the scale. Running statistics of batch norms stay, since they are measured, not learnt.
    """
    drawn = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for network in drawn.members:
            for module in network.network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    _redraw(module.weight, generator)
    return drawn


def _redraw(weight: Tensor, generator: torch.Generator) -> None:
    noise = torch.randn(weight.shape, generator=generator)
    spread = weight.std() if weight.numel() > 1 else torch.zeros(())
    weight.copy_(noise * spread + weight.mean())
