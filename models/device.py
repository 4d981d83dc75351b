"""Where and in which number format a network runs: CUDA if there is one, otherwise the CPU, said in words."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from core.errors import DeviceMemoryError, InputError


@dataclass(frozen=True, slots=True)
class Device:
    """A compute device with the number format that inference uses on it."""

    target: torch.device
    dtype: torch.dtype
    """Format of weights and activations during inference."""
    words: str
    """For people: "cpu (bf16, 2 threads)"."""
    parallel_calls: int = 1
    """Calls of the network that should run at once."""


def choose_device(requested: str = "auto") -> Device:
    """Choose the device for inference.

    Args:
        requested: "auto" (CUDA, then CPU), "cpu" or "cuda".

    Raises:
        InputError: another word, or CUDA where there is none.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise InputError(f"There is no device {requested!r}; it must be one of auto, cpu, cuda.")
    has_cuda = torch.cuda.is_available()
    if requested == "cuda" and not has_cuda:
        raise InputError("CUDA was asked for, but PyTorch finds no CUDA device here; use auto or cpu.")
    if has_cuda and requested != "cpu":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return Device(torch.device("cuda"), dtype, f"cuda ({torch.cuda.get_device_name()}, {_short(dtype)})")
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    threads = torch.get_num_threads()
    plural = "" if threads == 1 else "s"
    return Device(torch.device("cpu"), dtype, f"cpu ({_short(dtype)}, {threads} thread{plural})")


def prepare_for_tiles(requested: str = "auto") -> Device:
    """Choose the device and set this process up for the most tiles a second.

    On a CPU every core then computes a batch of its own, so PyTorch is told to use one thread a call. That holds for
    the whole process: only a process that does nothing but analyse slides asks for it.

    Raises:
        InputError: as `choose_device`.
    """
    device = choose_device(requested)
    if device.target.type != "cpu":
        return device
    cores = usable_cores()
    torch.set_num_threads(1)
    words = f"cpu ({_short(device.dtype)}, {cores} core{'' if cores == 1 else 's'})"
    return replace(device, words=words, parallel_calls=cores)


def usable_cores() -> int:
    """Cores this process may run on, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_has_bf16() -> bool:
    """Say whether this processor multiplies bfloat16 in hardware (AVX-512 BF16 or AMX).

    Without it bf16 is emulated and slower than float32. The two questions are not public in PyTorch: a version that no
    longer answers them counts as a processor without bf16, which is only slower.
    """
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        ask: Callable[[], bool] | None = getattr(torch.cpu, name, None)
        if ask is not None and ask():
            return True
    return False


@contextmanager
def memory_as_device_error(what: str) -> Generator[None]:
    """Turn the out-of-memory errors of PyTorch into DeviceMemoryError.

    Args:
        what: What was being computed, for the sentence: "a batch of 64 tiles".
    """
    try:
        yield
    except torch.OutOfMemoryError as err:
        torch.cuda.empty_cache()
        raise DeviceMemoryError(f"The GPU has too little memory for {what}; use a smaller batch.") from err
    except RuntimeError as err:
        if "can't allocate memory" not in str(err):  # the CPU allocator has no exception of its own
            raise
        raise DeviceMemoryError(f"There is too little memory for {what}; use a smaller batch.") from err


def _short(dtype: torch.dtype) -> str:
    return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype, "fp32")
