"""Torch networks behind the TileModel protocol: uint8 tiles in, calibrated probabilities and embeddings out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import InputError
from models.cards import Channels, Member
from models.device import Device, choose_device, memory_as_device_error
from models.ready_network import ReadyNetwork, prepare_network

IDC_MEAN_255 = (207.0, 162.0, 187.0)
"""Mean R, G, B of the IDC patches, 0-255, rounded to whole numbers: bf16 then subtracts them without rounding."""

IDC_STD_255 = (37.0, 55.0, 40.0)
"""Standard deviation of R, G, B over the pixels of the IDC patches, 0-255."""


class TorchTileModel:
    """Networks ready for inference on one device. Made by `from_members`, `from_network` or `registry.load_model`."""

    def __init__(
        self,
        networks: Sequence[ReadyNetwork],
        *,
        name: str,
        classes: tuple[str, ...],
        tile_px: int,
        mpp: float,
        device: Device,
        isometries: int = 1,
    ) -> None:
        """Take networks that are ready already; use `from_members` otherwise."""
        self.name = name
        self.classes = classes
        self.tile_px = tile_px
        self.mpp = mpp
        self.device = device.words
        self.parallel_calls = device.parallel_calls
        self._device = device
        self._networks = tuple(networks)
        self._isometries = isometries

    @classmethod
    def from_members(
        cls,
        members: Sequence[tuple[nn.Module, Member]],
        *,
        name: str,
        classes: tuple[str, ...],
        tile_px: int,
        mpp: float,
        isometries: int = 1,
        device: str | Device = "auto",
    ) -> TorchTileModel:
        """Make a model that averages the probabilities of networks. The networks given are left as they are.

        Args:
            members: Networks, normalised (N, 3, H, W) -> logits (N, C), with what the card says about each.
            name: Shown to users and written into results.
            classes: Names of the C outputs.
            tile_px: Side of the square tiles that the caller supplies, in pixels at `mpp`.
            mpp: um/px of the tiles.
            isometries: Symmetries of the square to average over: 1 (none), 2, 4 or 8.
            device: "auto", "cpu" or "cuda", or one that is chosen already (`device.prepare_for_tiles`).

        Raises:
            InputError: the device is unknown or not there.
            ModelError: a network does not start with a convolution over RGB.
        """
        chosen = device if isinstance(device, Device) else choose_device(device)
        networks = [
            prepare_network(
                network,
                architecture=member.architecture,
                input_px=member.input_px,
                device=chosen,
                temperature=member.temperature,
                mean_255=member.mean_255,
                std_255=member.std_255,
            )
            for network, member in members
        ]
        return cls(networks, name=name, classes=classes, tile_px=tile_px, mpp=mpp, device=chosen, isometries=isometries)

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
        architecture: str | None = None,
        device: str | Device = "auto",
        temperature: float = 1.0,
        mean_255: Channels = IDC_MEAN_255,
        std_255: Channels = IDC_STD_255,
    ) -> TorchTileModel:
        """Make a model of one network, trained or with random weights; see `prepare_network` and `from_members`.

        Raises:
            InputError: the device is unknown or not there.
            ModelError: the network does not start with a convolution over RGB.
        """
        chosen = device if isinstance(device, Device) else choose_device(device)
        ready = prepare_network(
            network,
            architecture=architecture,
            input_px=input_px,
            device=chosen,
            temperature=temperature,
            mean_255=mean_255,
            std_255=std_255,
        )
        return cls([ready], name=name, classes=classes, tile_px=tile_px, mpp=mpp, device=chosen)

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of every class for every tile: the mean over networks and isometries.

        Args:
            tiles: (N, H, W, 3) RGB at `mpp`; N may be 0.

        Returns:
            (N, C); rows sum to 1.

        Raises:
            InputError: the array is not uint8 (N, H, W, 3).
            DeviceMemoryError: the batch does not fit into the device's memory.
        """
        with self._computing(tiles) as asked:
            found = [_probabilities(network, self._embeddings(network, asked)) for network in self._networks]
            return _mean(found).cpu().numpy()[: len(tiles)]

    def predict_and_embed(self, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities as `predict` does, and what the last layers saw, in one pass.

        Returns:
            (N, C) probabilities, and (N, D) embeddings: those of the networks side by side, each the mean over the
            isometries.

        Raises:
            InputError: the array is not uint8 (N, H, W, 3).
            DeviceMemoryError: the batch does not fit into the device's memory.
        """
        with self._computing(tiles) as asked:
            views = [self._embeddings(network, asked) for network in self._networks]
            found = [_probabilities(network, of_one) for network, of_one in zip(self._networks, views, strict=True)]
            embeddings = torch.cat([_mean([view.float() for view in of_one]) for of_one in views], dim=1)
            return _mean(found).cpu().numpy()[: len(tiles)], embeddings.cpu().numpy()[: len(tiles)]

    @contextmanager
    def _computing(self, tiles: NDArray[np.uint8]) -> Generator[NDArray[np.uint8]]:
        """Check the tiles and yield what to show the networks.

        No network is asked about no tiles: one black tile then tells the widths of the empty arrays.
        """
        if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[3] != 3:
            raise InputError(f"Tiles must be uint8 (N, H, W, 3), got {tiles.dtype} {tiles.shape}.")
        with torch.inference_mode(), memory_as_device_error(f"a batch of {len(tiles)} tiles"):
            yield tiles if len(tiles) else np.zeros((1, self.tile_px, self.tile_px, 3), np.uint8)

    def _embeddings(self, network: ReadyNetwork, tiles: NDArray[np.uint8]) -> list[Tensor]:
        """Return one network's (N, D) embeddings of every isometric view, in the device's number format."""
        batch = self._prepare(network, tiles)
        return [network.body(view) for view in isometric_views(batch, number=self._isometries)]

    def _prepare(self, network: ReadyNetwork, tiles: NDArray[np.uint8]) -> Tensor:
        """(N, H, W, 3) uint8 -> centred (N, 3, input_px, input_px) on the device, channels last without a copy.

        The bytes travel to the device as they are. Subtracting whole numbers from 0-255 is exact in bf16; the division
        by the deviation is folded into the first convolution.
        """
        writable = np.require(tiles, requirements=["C", "W"])  # torch warns about read-only memory
        batch = torch.as_tensor(writable).to(self._device.target, non_blocking=True).permute(0, 3, 1, 2)
        size = [network.input_px, network.input_px]
        if max(batch.shape[2:]) > network.input_px:  # antialiasing exists for float32 only
            batch = functional.interpolate(batch.float(), size=size, mode="bilinear", antialias=True)
        batch = batch.to(self._device.dtype).sub_(network.mean)
        if batch.shape[2:] == (network.input_px, network.input_px):
            return batch
        return functional.interpolate(batch, size=size, mode="bilinear")


def _probabilities(network: ReadyNetwork, embeddings: Sequence[Tensor]) -> Tensor:
    """(N, D) embeddings of every view -> (N, C) float32: the mean of the views' calibrated probabilities."""
    return _mean([torch.softmax(network.head(of_one).float() / network.temperature, dim=1) for of_one in embeddings])


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors)).mean(dim=0)


def isometric_views(batch: Tensor, *, number: int) -> Iterator[Tensor]:
    """Yield a batch of square images (N, C, S, S) under the first `number` symmetries of the square.

    The first 2 are the identity and the mirror image, the first 4 add both turned by 180 degrees, and all 8 add the
    same four turned by 90 degrees: each of these sets is a group, so the mean over it is the same for every image that
    the set makes of another.
    """
    for turn in ((0,), (0,), (0, 2), (0, 2, 1, 3))[(1, 2, 4, 8).index(number)]:
        turned = torch.rot90(batch, turn, (2, 3)) if turn else batch
        yield turned
        if number > 1:
            yield turned.flip(3)
