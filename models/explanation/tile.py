"""All maps of one tile in one go, with the checks that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.explanation.cam import class_activation, grad_cam_cells, grad_cam_pp_cells
from models.explanation.path_gradients import integrated_gradients
from models.explanation.perturbing import lime_weights, occlusion, on_pixels
from models.explanation.randomising import with_random_weights
from models.explanation.target_model import TargetModel, as_colours

GRAD_CAM, GRAD_CAM_PP, OCCLUSION = "grad_cam", "grad_cam_pp", "occlusion"
LIME, INTEGRATED_GRADIENTS = "lime", "integrated_gradients"
LIME_SEEDS = (11, 12, 13)
"""Three fits: their mean is the map, their spread is told."""
WEIGHT_SEEDS = (101, 102)
"""Of the random weights of the sanity check: of both for the maps by gradients, which cost little, and of the first for
those that ask the networks hundreds of times."""

Map = NDArray[np.float32]
"""(H, W) at the tile's pixels."""
Step = Callable[[int, int], None]
"""Called before every step with steps done and steps in all; it may raise to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedTile:
    """What the networks say about one tile."""

    probability: float
    """Of the target, in float32; an analysis in bf16 differs in the third digit."""
    of_glass: float
    """Probability of blank glass, where integrated gradients begin."""
    missing: float
    """What integrated gradients do not account for."""
    maps: Mapping[str, Map]
    grains: Mapping[str, str]
    """How fine each map really is, in words."""
    lime_weights: NDArray[np.float64]
    """(seeds, K)"""
    random: Mapping[str, tuple[Map, ...]]
    """The same maps of the networks with random weights, one a draw; see `WEIGHT_SEEDS`."""


def explain_tile(
    model: TargetModel,
    tile: NDArray[np.uint8],
    pieces: NDArray[np.int64],
    *,
    step: Step,
    lime_seeds: Sequence[int] = LIME_SEEDS,
    weight_seeds: Sequence[int] = WEIGHT_SEEDS,
) -> ExplainedTile:
    """Compute every map of a tile, and again with random weights; the same input gives the same maps.

    Args:
        model: The networks.
        tile: (H, W, 3) RGB as the model reads it.
        pieces: (H, W) superpixels for LIME.
        step: Told before every map.
        lime_seeds: At least two.
        weight_seeds: At least one.
    """
    total = 5 + 5 + 3 * (len(weight_seeds) - 1)
    done = 0

    def told() -> None:
        nonlocal done
        step(done, total)
        done += 1

    colours = as_colours(tile)
    found, grains = _cams(model, colours, told)
    told()
    found[OCCLUSION], grains[OCCLUSION] = occlusion(model, colours)
    told()
    gradients = integrated_gradients(model, colours)
    told()
    weights = lime_weights(model, colours, pieces, seeds=lime_seeds)
    maps = {**found, LIME: on_pixels(weights.mean(axis=0), pieces), INTEGRATED_GRADIENTS: gradients.values}
    draws = [
        _random_maps(model, colours, pieces, seed, told, covering=place == 0) for place, seed in enumerate(weight_seeds)
    ]
    return ExplainedTile(
        gradients.probability,
        gradients.of_glass,
        gradients.missing,
        maps,
        {**grains, LIME: f"{weights.shape[1]} superpixels", INTEGRATED_GRADIENTS: "single pixels"},
        weights,
        {name: tuple(draw[name] for draw in draws if name in draw) for name in maps},
    )


def _cams(model: TargetModel, colours: Tensor, told: Callable[[], None]) -> tuple[dict[str, Map], dict[str, str]]:
    told()
    cam, cam_grain = class_activation(model, colours, grad_cam_cells)
    told()
    cam_pp, pp_grain = class_activation(model, colours, grad_cam_pp_cells)
    return {GRAD_CAM: cam, GRAD_CAM_PP: cam_pp}, {GRAD_CAM: cam_grain, GRAD_CAM_PP: pp_grain}


def _random_maps(
    model: TargetModel,
    colours: Tensor,
    pieces: NDArray[np.int64],
    seed: int,
    told: Callable[[], None],
    *,
    covering: bool,
) -> dict[str, Map]:
    drawn = with_random_weights(model, seed=seed)
    maps, _ = _cams(drawn, colours, told)
    told()
    maps[INTEGRATED_GRADIENTS] = integrated_gradients(drawn, colours).values
    if covering:
        told()
        maps[OCCLUSION], _ = occlusion(drawn, colours)
        told()
        maps[LIME] = on_pixels(lime_weights(drawn, colours, pieces, seeds=(seed,))[0], pieces)
    return maps
