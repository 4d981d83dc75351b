"""A torch network behind the Encoder protocol: uint8 tiles in, float32 vectors out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import InputError, ModelError
from models.device import Device, memory_as_device_error
from models.encoders.licences import Licence
from models.encoders.shapes import InputFacts

PRECISIONS: Mapping[torch.dtype, str] = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class TorchEncoder:
    """A frozen network made ready on one device; one path of code for every number format and device."""

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        facts: InputFacts,
        embedding_size: int,
        licence: Licence,
        sha256: str,
        device: Device,
    ) -> None:
        """Take over a network, (N, 3, H, W) normalised -> (N, D); it is moved to the device and frozen.

        Args:
            network: With its weights.
            name: Shown to users and kept with the vectors.
            facts: What it wants to be shown.
            embedding_size: D.
            licence: Of its weights.
            sha256: Digest of the weights and of everything else that the vectors depend on (`encoder_digest`).
            device: Where and in which number format it runs.
        """
        self.name = name
        self.tile_px = facts.tile_px
        self.input_px = facts.input_px
        self.mpp = facts.mpp
        self.mean_255 = facts.mean_255
        self.std_255 = facts.std_255
        self.embedding_size = embedding_size
        self.licence = licence
        self.sha256 = sha256
        self.device = device.words
        self.precision = PRECISIONS[device.dtype]
        self.parallel_calls = device.parallel_calls
        self._device = device
        ready = network.eval().requires_grad_(requires_grad=False).to(device.target, device.dtype)
        self._network = ready.to(memory_format=torch.channels_last)  # convolutions are a tenth faster so
        self._mean = torch.tensor(facts.mean_255, device=device.target).view(1, 3, 1, 1)
        self._std = torch.tensor(facts.std_255, device=device.target).view(1, 3, 1, 1)

    def embed(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, embedding_size) for (N, H, W, 3) RGB tiles; N may be 0.

        Raises:
            InputError: the array is not uint8 (N, H, W, 3).
            DeviceMemoryError: the batch does not fit into the device's memory.
            ModelError: the network gives vectors of another length than its description says.
        """
        check_tiles(tiles)
        if len(tiles) == 0:
            return np.empty((0, self.embedding_size), np.float32)
        with torch.inference_mode(), memory_as_device_error(f"a batch of {len(tiles)} tiles"):
            vectors: Tensor = self._network(self._prepare(tiles))
            if vectors.shape != (len(tiles), self.embedding_size):
                raise ModelError(
                    f"The encoder {self.name} gave {tuple(vectors.shape)} for {len(tiles)} tiles instead of vectors of "
                    f"length {self.embedding_size}. Its description and its weights do not belong together."
                )
            return vectors.float().cpu().numpy()

    def _prepare(self, tiles: NDArray[np.uint8]) -> Tensor:
        """(N, H, W, 3) uint8 -> normalised (N, 3, input_px, input_px); normalised in float32, then rounded once."""
        writable = np.require(tiles, requirements=["C", "W"])  # torch warns about read-only memory
        batch = torch.as_tensor(writable).to(self._device.target, non_blocking=True).permute(0, 3, 1, 2).float()
        if batch.shape[2:] != (self.input_px, self.input_px):
            # Bicubic, antialiased, as the authors resize; overshoot is cut as in an image file.
            size = [self.input_px, self.input_px]
            batch = functional.interpolate(batch, size=size, mode="bicubic", antialias=True).clamp_(0, 255)
        return batch.sub_(self._mean).div_(self._std).to(self._device.dtype)


def check_tiles(tiles: NDArray[np.uint8]) -> None:
    """Refuse what is no batch of RGB tiles.

    Raises:
        InputError: the array is not uint8 (N, H, W, 3).
    """
    if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[3] != 3:
        raise InputError(f"Tiles must be uint8 (N, H, W, 3), got {tiles.dtype} {tiles.shape}.")


def encoder_digest(*, weights_sha256: str, description: Mapping[str, object]) -> str:
    """Return the digest of an encoder: of its weights and of everything else that its vectors depend on."""
    text = json.dumps(description, sort_keys=True, default=str)
    return hashlib.sha256(f"{weights_sha256}\n{text}".encode()).hexdigest()


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, shapes, types and bytes of tensors, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
