"""Occlusion and LIME: parts of a tile are covered, and the probability of the target is asked again.

What covers is the mean colour of the tile. On 20 phantom tiles half covered by a planted lesion (`idc_resnet18`) such
squares told pixels inside from outside with a mean AUC of .76, squares of blank glass with .56: a white square brings
edges and glass into the tile, to which the network answers as well.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Reason: captum is typed in part only.
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import Lime, Occlusion
from numpy.typing import NDArray
from torch import Tensor, nn

WINDOW_SHARE = 1 / 6
"""Side of the covered square, as a share of the tile's: about the size of a gland in a tile of 200 um."""
SAMPLES = 200
"""Perturbed tiles of one fit of LIME."""
KERNEL_WIDTH = 0.25
"""Of LIME's weights, by cosine distance from the untouched tile; as in the authors' own program for images."""
RIDGE = 1.0
"""Penalty of LIME's linear model, as there."""
BATCH = 32


def mean_colour_like(tile: Tensor) -> Tensor:
    """Return a tile of the same shape that has the tile's mean colour everywhere."""
    return tile.mean(dim=(2, 3), keepdim=True).expand_as(tile).contiguous()


def occlusion(model: nn.Module, tile: Tensor) -> tuple[NDArray[np.float32], str]:
    """Return by how much the probability falls where the tile is covered, (H, W), and the map's grain in words.

    Squares overlap by half; a pixel has the mean of the squares that cover it.
    """
    side = max(2, round(tile.shape[3] * WINDOW_SHARE))
    step = max(1, side // 2)
    with torch.no_grad():
        found = Occlusion(model).attribute(
            tile,
            sliding_window_shapes=(3, side, side),
            strides=(3, step, step),
            baselines=mean_colour_like(tile),
            perturbations_per_eval=BATCH,
        )
    return found[0].mean(dim=0).numpy().astype(np.float32), f"squares of {side} px every {step} px"


def lime_weights(
    model: nn.Module, tile: Tensor, pieces: NDArray[np.int64], *, seeds: Sequence[int], samples: int = SAMPLES
) -> NDArray[np.float64]:
    """Return the weight of every superpixel in a linear model of the tile, once a seed.

    Args:
        model: Colours -> (N,) probability.
        tile: (1, 3, H, W) colours 0-255.
        pieces: (H, W) superpixels, numbered from 0.
        seeds: Of the random choices; the same seed gives the same weights.
        samples: Perturbed tiles a fit.

    Returns:
        (seeds, K) differences of probability.
    """
    mask = torch.from_numpy(pieces)[None, None].expand(1, 3, *pieces.shape)
    lime = Lime(model, interpretable_model=SkLearnRidge(alpha=RIDGE), similarity_func=_similarity)
    found: list[NDArray[np.float64]] = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            weights = lime.attribute(
                tile,
                baselines=mean_colour_like(tile),
                feature_mask=mask,
                n_samples=samples,
                perturbations_per_eval=BATCH,
                return_input_shape=False,
            )
        found.append(weights[0].double().numpy())
    return np.stack(found)


def on_pixels(weights: NDArray[np.floating], pieces: NDArray[np.int64]) -> NDArray[np.float32]:
    """Give every pixel the weight of its superpixel: (K,) and (H, W) -> (H, W)."""
    return weights[pieces].astype(np.float32)


def _similarity(_tile: Tensor, _perturbed: Tensor, kept: Tensor, **_more: object) -> Tensor:
    """Weight of a perturbed tile by how many of its superpixels are left: exp(-d^2 / width^2), d by cosine."""
    cosine = torch.sqrt(kept.float().mean())  # between ones and zeros and ones only
    return torch.exp(-((1 - cosine) ** 2) / KERNEL_WIDTH**2)
