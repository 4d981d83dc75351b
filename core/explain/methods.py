"""The ways in which a tile's probability is traced back to its pixels: what each asks and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

NOT_A_REASON = (
    "A map shows where the network's answer is sensitive, relative to this tile; it is not the reason for the answer, "
    "no probability, and not evidence of disease."
)
"""Stands beside every map and in every export of maps."""


class Method(StrEnum):
    """The maps, in the order in which they are shown."""

    GRAD_CAM = "grad_cam"
    GRAD_CAM_PP = "grad_cam_pp"
    OCCLUSION = "occlusion"
    LIME = "lime"
    INTEGRATED_GRADIENTS = "integrated_gradients"


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What people need to know of a map."""

    title: str
    asks: str
    """What the map answers, in a sentence."""
    signed: bool
    """Whether it also shows what speaks against the target; otherwise everything below zero is cut off."""
    source: str
    """Paper."""


METHODS: Mapping[Method, MethodFacts] = {
    Method.GRAD_CAM: MethodFacts(
        "Grad-CAM",
        "Which cells of a late feature map raise (as published) or lower the log odds of the target, by channel.",
        signed=True,
        source="Selvaraju et al. 2017, arXiv:1610.02391",
    ),
    Method.GRAD_CAM_PP: MethodFacts(
        "Grad-CAM++",
        "As Grad-CAM, with every cell's gradient weighted so that several or small places count alike.",
        signed=False,
        source="Chattopadhyay et al. 2018, arXiv:1710.11063",
    ),
    Method.OCCLUSION: MethodFacts(
        "Occlusion",
        "How far the probability of the target falls when a square of the tile takes the tile's mean colour.",
        signed=True,
        source="Zeiler and Fergus 2014, arXiv:1311.2901",
    ),
    Method.LIME: MethodFacts(
        "LIME",
        "Weight of every superpixel in a linear model fitted to the tile with random superpixels covered.",
        signed=True,
        source="Ribeiro et al. 2016, arXiv:1602.04938",
    ),
    Method.INTEGRATED_GRADIENTS: MethodFacts(
        "Integrated gradients",
        "Share of every pixel in the difference between the tile's probability and that of blank glass.",
        signed=True,
        source="Sundararajan et al. 2017, arXiv:1703.01365",
    ),
}
