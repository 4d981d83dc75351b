"""The explanation of one tile as pages and documents use it, read back from its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.domain import Region
from core.explain import (
    MapAgreement,
    Method,
    Randomised,
    Spread,
    TileMap,
    agreement_of,
    randomised,
    spread_of,
)
from core.explain.maps import smoothed
from core.store.records import Json


@dataclass(frozen=True, slots=True, eq=False)
class TileExplanation:
    """What is known about why a model answered as it did on one tile."""

    slide_id: str
    model: str
    weights_sha256: str
    target: str
    """What the probability is of, in words."""
    region: Region
    """Level-0 px."""
    tile: NDArray[np.uint8]
    """(H, W, 3) exactly as the networks read it."""
    view: NDArray[np.uint8]
    """(h, w, 3) the same place, finer where the slide allows: for people."""
    probability: float
    """Of the target, in float32."""
    of_glass: float
    """Of blank glass."""
    maps: tuple[TileMap, ...]
    """In the order of `Method`, at the tile's pixels; integrated gradients smoothed, as they are shown and compared."""
    agreement: MapAgreement
    randomised: tuple[Randomised, ...]
    """Of every map, against the networks with random weights."""
    spread: Spread
    """Of LIME over seeds."""
    pieces: NDArray[np.int64]
    """(H, W) superpixels of LIME."""
    missing: float
    """Probability that integrated gradients do not account for."""
    is_complete: bool
    """Whether that is within tolerance."""
    networks: int
    facts: Json
    """Version, digest, seeds, time and code version, for exports."""

    @property
    def uninformative(self) -> tuple[Method, ...]:
        """Maps that hardly change when the weights are random: they show the picture, not the network."""
        return tuple(one.method for one in self.randomised if not one.is_informative)

    def map_of(self, method: Method) -> TileMap:
        """Return one map."""
        return next(one for one in self.maps if one.method is method)


def region_of(header: Json) -> Region:
    """Return the place that a kept explanation is of."""
    x, y, width, height = (int(cast(Any, header[name])) for name in ("x", "y", "width", "height"))
    return Region(x, y, width, height)


def explanation_of(header: Json, arrays: Mapping[str, NDArray[Any]]) -> TileExplanation:
    """Return a kept explanation with what follows from it: agreement, sanity check, spread."""
    grains = cast("Mapping[str, str]", header["grains"])
    raw = {method: np.asarray(arrays[f"map_{method.value}"], np.float32) for method in Method}
    random = {method: list(np.asarray(arrays[f"random_{method.value}"], np.float32)) for method in Method}
    maps = tuple(TileMap(method, _shown(method, raw[method]), grains[method.value]) for method in Method)
    return TileExplanation(
        slide_id=str(header["slide_id"]),
        model=str(header["model"]),
        weights_sha256=str(header["weights_sha256"]),
        target=str(header["target"]),
        region=region_of(header),
        tile=np.asarray(arrays["tile"], np.uint8),
        view=np.asarray(arrays["view"], np.uint8),
        probability=_number(header, "probability"),
        of_glass=_number(header, "of_glass"),
        maps=maps,
        agreement=agreement_of(maps),
        randomised=tuple(
            randomised(method, _shown(method, raw[method]), [_shown(method, one) for one in random[method]])
            for method in Method
        ),
        spread=spread_of(np.asarray(arrays["lime_weights"], np.float64)),
        pieces=np.asarray(arrays["pieces"], np.int64),
        missing=_number(header, "missing"),
        is_complete=bool(header["is_complete"]),
        networks=int(_number(header, "networks")),
        facts=cast("Json", header["facts"]),
    )


def _shown(method: Method, values: NDArray[np.float32]) -> NDArray[np.float32]:
    return smoothed(values) if method is Method.INTEGRATED_GRADIENTS else values


def _number(header: Json, name: str) -> float:
    return float(cast(Any, header[name]))
