"""The encoders that pathology has published, as their authors state them. Needs no torch, and holds no weights.

Where the facts come from (read November 2026):
  shapes and pooling   mahmoodlab/TRIDENT trident/patch_encoder_models/load.py, which loads every one of these strictly;
                       the config.json of paige-ai/Virchow2; HistAI/hibou hibou/models/__init__.py (patch 14, SwiGLU,
                       4 registers); mahmoodlab/CONCH conch/open_clip_custom (vision_tower.py and conch_ViT-B-16.json);
                       KimiaLabMayo/KimiaNet KimiaNet_PyTorch_Feature_Extraction.py
  normalisation        mahmoodlab/TRIDENT utils/constants.py (Hibou, kaiko); ImageNet's for the others
  licences             README of mahmoodlab/UNI and mahmoodlab/TRIDENT; LICENSE of
                       kaiko-ai/towards_large_pathology_fms; README of HistAI/hibou and KimiaLabMayo/KimiaNet
  scale                0.5 um/px (20x): Chen et al. 2024, doi:10.1038/s41591-024-02857-3 (UNI); Vorontsov et al. 2024,
                       doi:10.1038/s41591-024-03141-0 (Virchow); Filiot et al. 2024 (Phikon-v2); Lu et al. 2024,
                       doi:10.1038/s41591-024-02856-4 (CONCH); arXiv:2101.07903 (KimiaNet, 1,000 px at 20x). kaiko and
                       Virchow2 were trained at several magnifications, 20x among them (arXiv:2404.15217, 2408.00738).
[unverified]: the scale of Hibou's training tiles (20x is what tools assume); the wording of Phikon-v2's and KimiaNet's
agreements, which are PDF files; that Hibou's files on Hugging Face keep the tensor names of transformers'
Dinov2WithRegistersModel, on which they say they are built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from models.encoders.licences import Licence
from models.encoders.shapes import TIMM_SHAPES, InputFacts, Layout, PoolerShape, Pooling, VitShape


@dataclass(frozen=True, slots=True)
class Published:
    """One published encoder."""

    title: str
    layout: Layout
    shape: VitShape | None
    """None for a convolutional network."""
    pooling: Pooling
    embedding_size: int
    licence: Licence
    source: str
    """Where the weights are offered and the paper that describes them."""
    input: InputFacts = field(default_factory=InputFacts)
    pooler: PoolerShape = field(default_factory=PoolerShape)


_NC_ND = "https://creativecommons.org/licenses/by-nc-nd/4.0/"
_MAHMOOD = Licence(
    "CC-BY-NC-ND-4.0",
    "Non-commercial academic research only, with attribution; no commercial use of the model or of anything derived "
    "from it, models trained on its outputs included; no passing on. Every user registers with the authors in person.",
    _NC_ND,
)
_PAIGE_NC = Licence(
    "CC-BY-NC-ND-4.0",
    "Non-commercial use only, with attribution; no passing on of changed versions. Access is granted by the authors.",
    _NC_ND,
)
_OWKIN = Licence(
    "Owkin non-commercial",
    "Non-commercial use only, under the agreement that lies beside the weights (LICENSE.pdf); read it there.",
    "https://huggingface.co/owkin/phikon-v2/blob/main/LICENSE.pdf",
)
_KAIKO = Licence(
    "Kaiko Non-Commercial Public License 1",
    "Non-commercial use only, with attribution; adapted versions stay under the same terms; no patent applications.",
    "https://github.com/kaiko-ai/towards_large_pathology_fms/blob/main/LICENSE",
)
_KIMIA = Licence(
    "KimiaNet end user agreement",
    "Use is subject to the end user agreement (agreement.pdf) in the authors' repository; read it there.",
    "https://github.com/KimiaLabMayo/KimiaNet",
)
_APACHE_TERMS = "Any use, with the licence text and notices kept. Access is granted by the authors."
_APACHE = Licence("Apache-2.0", _APACHE_TERMS, "https://www.apache.org/licenses/LICENSE-2.0")

_UNI = replace(TIMM_SHAPES["vit_large_patch16_224"], init_values=1e-5)
_UNI2 = VitShape(
    patch_size=14,
    embed_dim=1536,
    depth=24,
    num_heads=24,
    mlp_ratio=2.66667 * 2,
    init_values=1e-5,
    swiglu=True,
    reg_tokens=8,
    no_embed_class=True,
)
_VIRCHOW = replace(TIMM_SHAPES["vit_huge_patch14_224"], init_values=1e-5, mlp_ratio=5.3375, swiglu=True)
_HIBOU_B = VitShape(patch_size=14, init_values=1e-5, swiglu=True, mlp_ratio=16 / 3, reg_tokens=4, no_embed_class=True)
_HIBOU_INPUT = InputFacts(mean_255=(180.234, 146.7525, 184.11), std_255=(49.725, 59.058, 46.308))
_HALF = InputFacts(mean_255=(127.5, 127.5, 127.5), std_255=(127.5, 127.5, 127.5))


def _kaiko(size: str, architecture: str, embedding_size: int) -> Published:
    return Published(
        f"kaiko ViT-{size}",
        Layout.TIMM,
        TIMM_SHAPES[architecture],
        Pooling.CLASS,
        embedding_size,
        _KAIKO,
        "github.com/kaiko-ai/towards_large_pathology_fms; Aben et al. 2024, arXiv:2404.15217",
        input=_HALF,
    )


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "uni": Published(
            "UNI (ViT-L/16)", Layout.TIMM, _UNI, Pooling.CLASS, 1024, _MAHMOOD,
            "huggingface.co/MahmoodLab/UNI; Chen et al. 2024, doi:10.1038/s41591-024-02857-3",
        ),
        "uni2-h": Published(
            "UNI2-h (ViT-H/14, registers)", Layout.TIMM, _UNI2, Pooling.CLASS, 1536, _MAHMOOD,
            "huggingface.co/MahmoodLab/UNI2-h; Chen et al. 2024, doi:10.1038/s41591-024-02857-3",
        ),
        "virchow": Published(
            "Virchow (ViT-H/14)", Layout.TIMM, _VIRCHOW, Pooling.CLASS_AND_MEAN, 2560, _APACHE,
            "huggingface.co/paige-ai/Virchow; Vorontsov et al. 2024, doi:10.1038/s41591-024-03141-0",
        ),
        "virchow2": Published(
            "Virchow2 (ViT-H/14, registers)", Layout.TIMM, replace(_VIRCHOW, reg_tokens=4), Pooling.CLASS_AND_MEAN,
            2560, _PAIGE_NC, "huggingface.co/paige-ai/Virchow2; Zimmermann et al. 2024, arXiv:2408.00738",
        ),
        "phikon-v2": Published(
            "Phikon-v2 (ViT-L/16)", Layout.DINOV2, _UNI, Pooling.CLASS, 1024, _OWKIN,
            "huggingface.co/owkin/phikon-v2; Filiot et al. 2024, arXiv:2409.09173",
        ),
        "hibou-b": Published(
            "Hibou-B (ViT-B/14, registers)", Layout.DINOV2, _HIBOU_B, Pooling.CLASS, 768, _APACHE,
            "huggingface.co/histai/hibou-b; Nechaev et al. 2024, arXiv:2406.05074", input=_HIBOU_INPUT,
        ),
        "hibou-l": Published(
            "Hibou-L (ViT-L/14, registers)", Layout.DINOV2,
            replace(_HIBOU_B, embed_dim=1024, depth=24, num_heads=16), Pooling.CLASS, 1024, _APACHE,
            "huggingface.co/histai/hibou-L; Nechaev et al. 2024, arXiv:2406.05074", input=_HIBOU_INPUT,
        ),
        "conch": Published(
            "CONCH, image tower (ViT-B/16)", Layout.CONCH,
            replace(TIMM_SHAPES["vit_base_patch16_224"], img_size=448), Pooling.ATTENTION, 512, _MAHMOOD,
            "huggingface.co/MahmoodLab/CONCH; Lu et al. 2024, doi:10.1038/s41591-024-02856-4",
            input=InputFacts(input_px=448, tile_px=512),
        ),
        "kaiko-vits16": _kaiko("S/16", "vit_small_patch16_224", 384),
        "kaiko-vits8": _kaiko("S/8", "vit_small_patch8_224", 384),
        "kaiko-vitb16": _kaiko("B/16", "vit_base_patch16_224", 768),
        "kaiko-vitb8": _kaiko("B/8", "vit_base_patch8_224", 768),
        "kimianet": Published(
            "KimiaNet (DenseNet-121)", Layout.DENSENET, None, Pooling.AVERAGE, 1024, _KIMIA,
            "github.com/KimiaLabMayo/KimiaNet; Riasatian et al. 2021, arXiv:2101.07903",
            input=InputFacts(input_px=1000, tile_px=1000),
        ),
    }
)  # fmt: skip
"""By the name that encoder.toml or the folder's name gives."""


def published_name(text: str) -> str | None:
    """Return the published encoder that a name means, whatever its case and punctuation ("UNI2-h"), or None."""
    wanted = _plain(text)
    return next((name for name in PUBLISHED if _plain(name) == wanted), None)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
