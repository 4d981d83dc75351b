"""What every encoder offers, whatever network stands behind it. Needs no torch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.encoders.licences import Licence


class Encoder(Protocol):
    """A frozen network that turns tiles into vectors. Also a `core.inference.TileEncoder`."""

    @property
    def name(self) -> str:
        """Shown to users and kept with the vectors: "model:idc", "uni"."""
        ...

    @property
    def tile_px(self) -> int:
        """Side of the tiles that the caller supplies, in pixels at `mpp`."""
        ...

    @property
    def input_px(self) -> int:
        """Side to which tiles are resized before the network; for most encoders the same as `tile_px`."""
        ...

    @property
    def mpp(self) -> float | None:
        """um/px of the tiles it was trained for; None where it has no scale of its own (ImageNet photographs)."""
        ...

    @property
    def mean_255(self) -> tuple[float, float, float]:
        """Mean R, G, B that is subtracted, 0-255."""
        ...

    @property
    def std_255(self) -> tuple[float, float, float]:
        """Deviation of R, G, B that is divided by, 0-255."""
        ...

    @property
    def embedding_size(self) -> int:
        """Length D of a vector."""
        ...

    @property
    def licence(self) -> Licence:
        """Under which terms its weights may be used."""
        ...

    @property
    def sha256(self) -> str:
        """Digest of the weights and of everything else that the vectors depend on (pooling, input, normalisation)."""
        ...

    @property
    def device(self) -> str:
        """What it computes on, in words, e.g. "cpu (bf16, 2 threads)"."""
        ...

    @property
    def precision(self) -> str:
        """Number format it computes in, "fp32", "bf16" or "fp16": vectors of two formats differ in the last digits."""
        ...

    @property
    def parallel_calls(self) -> int:
        """How many threads should call `embed` at once; as for a tile model."""
        ...

    def embed(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return (N, embedding_size) for (N, H, W, 3) RGB tiles; N may be 0.

        Raises:
            InputError: the array is not uint8 (N, H, W, 3).
            DeviceMemoryError: the batch is too large for the device.
        """
        ...
