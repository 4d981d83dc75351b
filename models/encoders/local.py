"""An encoder from a folder that the user provides: described, checked, built, loaded. Never from a network."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import nn

from models.cards import sha256_of_file
from models.device import Device
from models.encoders.backbones import AttentionPooling, AveragePooling, TokenPooling, build_vit
from models.encoders.folders import EncoderFolder
from models.encoders.layouts import translate
from models.encoders.shapes import Layout, Pooling, VitShape
from models.encoders.torch_encoder import TorchEncoder, encoder_digest
from models.tensors import read_tensors


def local_encoder(folder: EncoderFolder, *, device: Device) -> TorchEncoder:
    """Load the encoder that a folder describes.

    Raises:
        ModelError: the weights are missing, a pickle, damaged, or do not fit; tensors are named as in the file.
    """
    tensors = read_tensors(folder.weights)
    with torch.device("meta"):  # only names and shapes: random weights of a ViT-L alone would take ten seconds
        network, own = _build(folder)
    shape = folder.shape or VitShape()
    own_tensors = translate(
        tensors,
        layout=folder.layout,
        wanted=own.state_dict(),
        swiglu=shape.swiglu,
        registers=shape.reg_tokens > 0,
        source=folder.weights.name,
    )
    own.load_state_dict(own_tensors, assign=True)
    return TorchEncoder(
        network,
        name=folder.name,
        facts=folder.input,
        embedding_size=folder.embedding_size,
        licence=folder.licence,
        sha256=folder_digest(folder),
        device=device,
    )


def folder_digest(folder: EncoderFolder) -> str:
    """Return the digest of the weights together with everything else that the vectors depend on."""
    description = {
        "layout": folder.layout.value,
        "pooling": folder.pooling.value,
        "shape": None if folder.shape is None else asdict(folder.shape),
        "pooler": asdict(folder.pooler),
        "input": asdict(folder.input),
    }
    return encoder_digest(weights_sha256=sha256_of_file(folder.weights), description=description)


def _build(folder: EncoderFolder) -> tuple[nn.Module, nn.Module]:
    """Return the network, images -> vectors, and the part of it whose tensors the file holds."""
    if folder.layout is Layout.DENSENET or folder.shape is None:
        average = AveragePooling()
        return average, average.features
    trunk = build_vit(folder.shape)
    if folder.pooling is Pooling.ATTENTION:
        attention = AttentionPooling(trunk, pooler=folder.pooler)
        return attention, attention
    return TokenPooling(trunk, pooling=folder.pooling), trunk
