"""A torch network behind the TileModel protocol: uint8 tiles in, calibrated probabilities out."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import InputError
from models.device import Device, choose_device, memory_as_device_error
from models.networks import fold_input_scale, fuse_batch_norms

IDC_MEAN_255 = (207.0, 162.0, 187.0)
"""Mean R, G, B of the IDC patches, 0-255, rounded to whole numbers: bf16 then subtracts them without rounding."""

IDC_STD_255 = (37.0, 55.0, 40.0)
"""Standard deviation of R, G, B over the pixels of the IDC patches, 0-255."""


class TorchTileModel:
    """A network made ready for inference on one device. Made by `from_network` or by `registry.load_model`."""

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        classes: tuple[str, ...],
        tile_px: int,
        mpp: float,
        input_px: int,
        device: Device,
        temperature: float,
        mean_255: tuple[float, float, float],
    ) -> None:
        """Take a network that is already fused, scaled and on the device; use `from_network` otherwise."""
        self.name = name
        self.classes = classes
        self.tile_px = tile_px
        self.mpp = mpp
        self.input_px = input_px
        self.device = device.words
        self.parallel_calls = device.parallel_calls
        self._device = device
        self._network = network
        self._temperature = temperature
        self._mean = torch.tensor(mean_255, device=device.target, dtype=device.dtype).view(1, 3, 1, 1)

    @classmethod
    def from_network(
        cls,
        network: nn.Module,
        *,
        name: str,
        classes: tuple[str, ...],
        tile_px: int,
        mpp: float,
        input_px: int,
        device: str | Device = "auto",
        temperature: float = 1.0,
        mean_255: tuple[float, float, float] = IDC_MEAN_255,
        std_255: tuple[float, float, float] = IDC_STD_255,
    ) -> TorchTileModel:
        """Make a model from any network, trained or with random weights. The network given is left as it is.

        Args:
            network: Normalised (N, 3, H, W) -> logits (N, C).
            name: Shown to users and written into results.
            classes: Names of the C outputs.
            tile_px: Side of the square tiles that the caller supplies, in pixels at `mpp`.
            mpp: um/px of the tiles.
            input_px: Side to which tiles are resized before the network.
            device: "auto", "cpu" or "cuda", or one that is chosen already (`device.prepare_for_tiles`).
            temperature: Logits are divided by it before the softmax (Guo et al. 2017, arXiv:1706.04599).
            mean_255: Mean R, G, B that the network was trained with, 0-255.
            std_255: Standard deviation of R, G, B that the network was trained with, 0-255.

        Raises:
            InputError: the device is unknown or not there.
            ModelError: the network does not start with a convolution over RGB.
        """
        chosen = device if isinstance(device, Device) else choose_device(device)
        ready = copy.deepcopy(network).float().eval().requires_grad_(requires_grad=False)
        fuse_batch_norms(ready)
        fold_input_scale(ready, std_255)
        ready = ready.to(chosen.target, chosen.dtype).to(memory_format=torch.channels_last)
        return cls(
            ready,
            name=name,
            classes=classes,
            tile_px=tile_px,
            mpp=mpp,
            input_px=input_px,
            device=chosen,
            temperature=temperature,
            mean_255=mean_255,
        )

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of every class for every tile.

        Args:
            tiles: (N, H, W, 3) RGB at `mpp`; N may be 0.

        Returns:
            (N, C); rows sum to 1.

        Raises:
            InputError: the array is not uint8 (N, H, W, 3).
            DeviceMemoryError: the batch does not fit into the device's memory.
        """
        if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[3] != 3:
            raise InputError(f"Tiles must be uint8 (N, H, W, 3), got {tiles.dtype} {tiles.shape}.")
        if len(tiles) == 0:
            return np.empty((0, len(self.classes)), np.float32)
        with torch.inference_mode(), memory_as_device_error(f"a batch of {len(tiles)} tiles"):
            logits: Tensor = self._network(self._prepare(tiles))
            return torch.softmax(logits.float() / self._temperature, dim=1).cpu().numpy()

    def _prepare(self, tiles: NDArray[np.uint8]) -> Tensor:
        """(N, H, W, 3) uint8 -> centred (N, 3, input_px, input_px) on the device, channels last without a copy.

        The bytes travel to the device as they are. Subtracting whole numbers from 0-255 is exact in bf16; the division
        by the deviation is folded into the first convolution.
        """
        writable = np.require(tiles, requirements=["C", "W"])  # torch warns about read-only memory
        batch = torch.as_tensor(writable).to(self._device.target, non_blocking=True).permute(0, 3, 1, 2)
        size = [self.input_px, self.input_px]
        if max(batch.shape[2:]) > self.input_px:  # antialiasing exists for float32 only
            batch = functional.interpolate(batch.float(), size=size, mode="bilinear", antialias=True)
        batch = batch.to(self._device.dtype).sub_(self._mean)
        if batch.shape[2:] == (self.input_px, self.input_px):
            return batch
        return functional.interpolate(batch, size=size, mode="bilinear")
