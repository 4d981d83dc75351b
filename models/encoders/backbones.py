"""The networks behind the published encoders, built by timm and torchvision without any weights."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Reason: timm and torchvision ship no type stubs.
from __future__ import annotations

from functools import partial

from timm.layers.mlp import Mlp, SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch import cat as concatenate
from torch import empty as uninitialised
from torchvision.models import densenet121

from models.encoders.shapes import PoolerShape, Pooling, VitShape


def build_vit(shape: VitShape) -> VisionTransformer:
    """Build a vision transformer whose weights are still to be loaded.

    It is built from its numbers, never from a name that could be looked up in a hub.
    """
    return VisionTransformer(
        img_size=shape.img_size,
        patch_size=shape.patch_size,
        embed_dim=shape.embed_dim,
        depth=shape.depth,
        num_heads=shape.num_heads,
        # timm multiplies and cuts off; half a unit more keeps a width that was a whole number.
        mlp_ratio=(int(shape.embed_dim * shape.mlp_ratio) + 0.5) / shape.embed_dim,
        init_values=shape.init_values,
        reg_tokens=shape.reg_tokens,
        no_embed_class=shape.no_embed_class,
        qkv_bias=shape.qkv_bias,
        norm_layer=partial(nn.LayerNorm, eps=shape.norm_eps),
        num_classes=0,
        global_pool="token",
        dynamic_img_size=True,
        mlp_layer=SwiGLUPacked if shape.swiglu else Mlp,  # pyright: ignore[reportArgumentType]  (a partial class)
        act_layer=nn.SiLU if shape.swiglu else nn.GELU,
        weight_init="skip",
    )


class TokenPooling(nn.Module):
    """A vision transformer followed by the choice of tokens; state_dict names are those of the transformer."""

    def __init__(self, trunk: VisionTransformer, *, pooling: Pooling) -> None:
        """Take a transformer whose `forward_features` gives normed tokens: class token, registers, patches."""
        super().__init__()
        self.trunk = trunk
        self._with_mean = pooling is Pooling.CLASS_AND_MEAN
        self._prefix = int(trunk.num_prefix_tokens)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) or (N, 2 D) for (N, 3, H, W)."""
        tokens: Tensor = self.trunk.forward_features(images)
        first = tokens[:, 0]
        return concatenate([first, tokens[:, self._prefix :].mean(dim=1)], dim=1) if self._with_mean else first


class _AttentionPooler(nn.Module):
    """A learned query that attends over all tokens, named as in CONCH (attn_pool_contrast)."""

    def __init__(self, shape: PoolerShape, *, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(uninitialised(1, shape.embed_dim))
        self.attn = nn.MultiheadAttention(shape.embed_dim, shape.heads, kdim=width, vdim=width, batch_first=True)
        self.ln_q = nn.LayerNorm(shape.embed_dim)
        self.ln_k = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        keys = self.ln_k(tokens)
        query = self.ln_q(self.query).expand(len(tokens), -1, -1)
        return self.attn(query, keys, keys, need_weights=False)[0][:, 0]


class AttentionPooling(nn.Module):
    """The image tower of CONCH up to the vector that its authors use for images alone.

    That is before the projection into the space shared with text, and not scaled to length one (encode_image with
    proj_contrast and normalize off).
    """

    def __init__(self, trunk: VisionTransformer, *, pooler: PoolerShape) -> None:
        """Take the transformer and say how its tokens are pooled."""
        super().__init__()
        self.trunk = trunk
        self.pooler = _AttentionPooler(pooler, width=int(trunk.embed_dim))
        self.norm = nn.LayerNorm(pooler.embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) for (N, 3, H, W)."""
        return self.norm(self.pooler(self.trunk.forward_features(images)))


class AveragePooling(nn.Module):
    """Convolutions followed by the mean over the last map.

    Unlike in torchvision's DenseNet there is no ReLU between: KimiaNet's authors take their vectors so.
    """

    def __init__(self) -> None:
        """Build the convolutions of DenseNet-121; their weights are still to be loaded."""
        super().__init__()
        self.features = densenet121(weights=None).features

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, 1024) for (N, 3, H, W)."""
        return self.features(images).mean(dim=(2, 3))
