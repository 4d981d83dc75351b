"""Grad-CAM and Grad-CAM++ of an ensemble: every network in a layer of its own, then the mean at the tile's pixels."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Reason: captum is typed in part only.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from models.explanation.target_model import TargetModel, TargetNetwork
from models.torch_model import isometric_views

LEAST_CELLS = 6
"""Fewest cells along a side of the feature map that is explained. The usual layer, the last one, leaves 2 x 2 or 3 x 3
cells of tiles as small as these models read, and a map of four cells points nowhere: on 16 phantom tiles half covered
by a planted lesion (`idc_resnet18`) the share of Grad-CAM's mass inside the lesion was .09 less than the lesion's share
of the tile with 2 x 2 cells, .09 more with 4 x 4 and .23 more with 8 x 8."""

Cells = Callable[[TargetNetwork, nn.Module, Tensor], Tensor]
"""(network, layer, normalised input (N, 3, S, S)) -> signed cells (N, 1, h, w)."""


@dataclass(frozen=True, slots=True)
class CamLayer:
    """The layer of one network whose cells are explained."""

    name: str
    module: nn.Module
    cells: tuple[int, int]
    """Rows and columns."""


def cam_layer(network: TargetNetwork, *, least_cells: int = LEAST_CELLS) -> CamLayer:
    """Return the deepest layer whose feature map still has enough cells; the first one where none has.

    Layers are taken in the order in which they run, at most two names deep ("layer3", "blocks.4"), up to the first
    whose map is smaller: what comes after pooling may be large again and holds no places.
    """
    seen: list[CamLayer] = []

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, _given: object, out: object) -> None:
            if isinstance(out, Tensor) and out.ndim == 4:
                seen.append(CamLayer(name, module, (out.shape[2], out.shape[3])))

        return keep

    handles: list[RemovableHandle] = [
        module.register_forward_hook(note(name))
        for name, module in network.network.named_modules()
        if name and name.count(".") <= 1
    ]
    try:
        with torch.inference_mode():
            network.network(torch.zeros(1, 3, network.input_px, network.input_px))
    finally:
        for handle in handles:
            handle.remove()
    small = next((place for place, one in enumerate(seen) if min(one.cells) < least_cells), len(seen))
    return seen[max(small - 1, 0)]


def grad_cam_cells(network: TargetNetwork, layer: nn.Module, prepared: Tensor) -> Tensor:
    """Return Grad-CAM's cells, not rectified: below 0 they speak against the target."""
    found = LayerGradCam(network.log_odds, layer).attribute(prepared)
    return found if isinstance(found, Tensor) else found[0]


def grad_cam_pp_cells(network: TargetNetwork, layer: nn.Module, prepared: Tensor) -> Tensor:
    """Return Grad-CAM++'s cells (Chattopadhyay et al. 2018, eq. 5, 10 and 19).

    With Y = exp(S) the second and third derivatives of Y are the square and the cube of the first derivative g of S,
    times Y. Then alpha = g^2 / (2 g^2 + sum(A) g^3), and a channel's weight is the sum of alpha relu(g) over its cells;
    the factor Y is the same everywhere and is left out. The paper takes maps after a rectifier. Some layers here end
    without one (the linear bottlenecks of EfficientNet-Lite): in the sum their negative activations count as 0, since
    alpha would otherwise change its sign and the map turn inside out.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _given: object, out: Tensor) -> Tensor:
        kept.append(out if out.requires_grad else out.requires_grad_())
        return kept[-1]

    handle = layer.register_forward_hook(keep)
    try:
        score = network.log_odds(prepared)
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(score.sum(), kept[-1])
    activation = kept[-1].detach()
    square = gradient**2
    below = 2 * square + functional.relu(activation).sum(dim=(2, 3), keepdim=True) * gradient**3
    alpha = torch.where(below > 0, square / torch.where(below > 0, below, torch.ones_like(below)), 0.0)
    weights = (alpha * functional.relu(gradient)).sum(dim=(2, 3), keepdim=True)
    return functional.relu((weights * activation).sum(dim=1, keepdim=True))


def class_activation(
    model: TargetModel, tile: Tensor, cells: Cells, *, least_cells: int = LEAST_CELLS
) -> tuple[NDArray[np.float32], str]:
    """Return a map at the tile's pixels and its grain in words.

    Every network is explained in its own layer, under every symmetry over which the model averages, turned back. Each
    network's map is divided by its strongest cell before the mean: gradients of two networks have no common unit.

    Args:
        model: Its networks are asked one by one.
        tile: (1, 3, H, W) colours 0-255.
        cells: Of one network.
        least_cells: See `LEAST_CELLS`.

    Returns:
        (H, W), and for instance "4 x 4 cells".
    """
    found: list[Tensor] = []
    grains: list[str] = []
    for network in model.members:
        layer = cam_layer(network, least_cells=least_cells)
        views = torch.cat(list(isometric_views(network.prepared(tile), number=model.isometries)))
        own = turned_back(cells(network, layer.module, views).detach(), number=model.isometries).mean(dim=0)
        strongest = own.abs().max()
        own = own / strongest if strongest > 0 else own
        found.append(functional.interpolate(own[None], size=list(tile.shape[2:]), mode="bilinear")[0, 0])
        grains.append(f"{layer.cells[0]} x {layer.cells[1]}")
    grain = f"{' and '.join(dict.fromkeys(grains))} cells"
    return torch.stack(found).mean(dim=0).numpy().astype(np.float32), grain


def turned_back(maps: Tensor, *, number: int) -> Tensor:
    """Undo `isometric_views` on maps (number, 1, h, w), one a view."""
    if number == 1:
        return maps
    turns = {2: (0,), 4: (0, 2), 8: (0, 2, 1, 3)}[number]
    undone: list[Tensor] = []
    for place, turn in enumerate(turns):
        plain, mirrored = maps[2 * place], maps[2 * place + 1].flip(2)
        undone += [torch.rot90(one, -turn, (1, 2)) for one in (plain, mirrored)]
    return torch.stack(undone)
