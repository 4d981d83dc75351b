"""Real pictures, for checking only: nothing here was learnt from or chosen on.

Patches of training patients in which a person saw an artefact are learnt from (models/configs/artefacts_seen.csv);
these are of others: `idc_by_eye.csv` names breast patches of validation and test patients in which a person saw one,
written down before any network had looked at them. They come from the patches that `models.artefacts.sources.is_clean`
refuses (and three blurred ones that it lets through), so they are the plain cases.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from core.evaluation.binary import auc
from core.evaluation.intervals import with_intervals
from models.artefacts.classes import CLASSES, CLEAN
from models.artefacts.defocus import gaussian
from models.artefacts.sources import REGION_MPP, Source, tissue_share
from models.artefacts.tiles import CORE_SHARE, TILE_PX
from models.evaluation.artefact_sets import cut_windows
from models.evaluation.measuring import predict_probabilities
from models.torch_model import TorchTileModel

Numbers = dict[str, float]
FloatArray = NDArray[np.float64]

INK = "ink_of_margin"
"""Ink that the pathologist put on the specimen's surface: no fault of the slide, but nothing to read a tumour from. Of
the classes it is pen."""
BY_EYE = "idc_by_eye.csv"
ACCEPTED = "accepted"
"""Patches that `is_clean` lets through; nobody looked at each."""

_MIN_TISSUE = 0.25
"""Share of tissue in a window that counts where clean tissue is judged."""


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3) RGB."""
    with Pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def breast_by_eye(
    model: TorchTileModel, data: Path, *, listed: Path, clean: tuple[Source, ...]
) -> Mapping[str, Mapping[str, float]]:
    """Tell patches with an artefact seen by eye from clean patches of patients that were not trained on.

    Args:
        model: The artefact network.
        data: Folder of the real data.
        listed: CSV with the columns file and seen.
        clean: Breast patches of test patients.

    Returns:
        For each kind seen ("clean" are odd colours in which nothing is wrong): n, its AUROC against clean by the
        probability of any artefact (with a 95 % interval over patients), and the share that the likeliest class calls
        an artefact, and this very artefact.
    """
    with listed.open(newline="", encoding="utf-8") as file:
        rows = [(row["file"], row["seen"]) for row in csv.DictReader(file)]
    seen = np.array([kind for _, kind in rows])
    images = np.stack([_padded(read_rgb(data / "idc" / name)) for name, _ in rows])
    kinds = [kind for kind in (*CLASSES[1:], INK, CLEAN) if (seen == kind).any()]
    good = np.stack([_padded(image) for source in clean for image in source.images[:12]])
    of_good = np.array([source.group for source in clean for _ in source.images[:12]])
    p, q = predict_probabilities(model, images), predict_probabilities(model, good)
    groups = np.array([f"idc/{name.split('/')[0]}" for name, _ in rows])
    found: dict[str, Mapping[str, float]] = {ACCEPTED: {"n": len(good), "called_artefact": _share_called(q)}}
    for kind in kinds:
        chosen = seen == kind
        scores = 1 - np.concatenate([p[chosen, 0], q[:, 0]])
        truth = np.arange(len(scores)) < chosen.sum()
        estimate = with_intervals(
            truth, scores, np.concatenate([groups[chosen], of_good]), metrics={"auroc": auc}, draws=300
        )["auroc"]
        name = "pen" if kind == INK else kind
        exact = float((p[chosen].argmax(1) == CLASSES.index(name)).mean()) if kind != CLEAN else float("nan")
        found[kind] = {
            "n": int(chosen.sum()),
            **{f"auroc_{name}": value for name, value in estimate.as_dict().items()},
            "called_artefact": _share_called(p[chosen]),
            "called_so": exact,
        }
    return found


def masked_pictures(model: TorchTileModel, data: Path) -> Mapping[str, Numbers]:
    """Tell windows whose middle an artefact mask covers from windows that it does not touch, in the real crops."""
    found: dict[str, Numbers] = {}
    for folder, kind in (("pen", "pen"), ("coverslip_edge", "bubble_edge")):
        for path in sorted((data / "artefacts" / folder).glob("*_mask.png")):
            mask = read_rgb(path).max(-1) > 127
            image = read_rgb(path.with_name(path.name.replace("_mask", "")))
            tiles, corners = cut_windows(image, stride_px=TILE_PX // 4)
            covered = np.array([_middle_share(mask, corner) for corner in corners])
            touched = np.array([float(mask[y : y + TILE_PX, x : x + TILE_PX].mean()) for y, x in corners])
            p = predict_probabilities(model, tiles)
            inside, outside = covered >= CORE_SHARE, touched == 0
            keep = inside | outside
            found[f"{folder}, {path.stem.removesuffix('_mask')}"] = {
                "windows_with": int(inside.sum()),
                "windows_without": int(outside.sum()),
                "auroc_any": auc(inside[keep], 1 - p[keep, 0]),
                f"auroc_{kind}": auc(inside[keep], p[keep, CLASSES.index(kind)]),
                "called_artefact": _share_called(p[inside]),
                "false_alarms": _share_called(p[outside]),
            }
    return found


def damage_tiles(model: TorchTileModel, data: Path) -> Mapping[str, Numbers]:
    """Return, for each of the four tiles, the mean probability over its nine windows."""
    found: dict[str, Numbers] = {}
    for path in sorted((data / "artefacts" / "damage_tiles").glob("*_rgb.png")):
        p = predict_probabilities(model, cut_windows(read_rgb(path))[0])
        found[path.stem.removesuffix("_rgb")] = {
            "damaged": float(p[:, CLASSES.index("damaged")].mean()),
            "any_artefact": float(1 - p[:, 0].mean()),
            "highest_any": float(1 - p[:, 0].min()),
        }
    return found


def clean_pictures(model: TorchTileModel, data: Path) -> Mapping[str, Numbers]:
    """Return the share of tissue windows called clean, in pictures in which nothing is wrong.

    The slide is read at the model's scale; of it bands 1 to 3 were trained on, 4 selected, 5 is test. The stain
    templates and the lung crop have no stated scale: they are read as they are, and reduced to a half and a quarter.
    """
    region = read_rgb(data / "slides" / "CMU-1-Small-Region.svs")
    side = (round(region.shape[1] * REGION_MPP / model.mpp), round(region.shape[0] * REGION_MPP / model.mpp))
    small = np.asarray(Pillow.fromarray(region).resize(side, Pillow.Resampling.BOX))
    last = small[small.shape[0] * 4 // 5 :]
    pictures = {"slide": small, "slide, test band": last}
    files = [
        *sorted((data / "stain_templates").glob("*.png")),
        data / "artefacts" / "thumbnails" / "tcga-lung-clean.png",
    ]
    for path in files:
        image = Pillow.fromarray(read_rgb(path))
        for factor in (1, 2, 4):
            pictures[f"{path.stem}, 1/{factor}"] = np.asarray(image.reduce(factor))
    return {name: _clean_share(model, picture) for name, picture in pictures.items()}


def defocus_grades(
    model: TorchTileModel, clean: tuple[Source, ...], *, sigmas_px: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0)
) -> Mapping[str, Numbers]:
    """Blur real breast patches of test patients by grade and tell them from the sharp ones (AUROC, out of focus)."""
    images = [image for source in clean for image in source.images[:3] if tissue_share(image) > 0.5]
    sharp = predict_probabilities(model, np.stack([_padded(image) for image in images]))
    found: dict[str, Numbers] = {}
    for sigma in sigmas_px:
        blurred = [gaussian(image.astype(np.float32), sigma_px=sigma).round().astype(np.uint8) for image in images]
        soft = predict_probabilities(model, np.stack([_padded(image) for image in blurred]))
        scores = np.concatenate([soft[:, 1], sharp[:, 1]])
        found[f"{sigma:g} px"] = {
            "n": len(images),
            "auroc": auc(np.arange(len(scores)) < len(soft), scores),
            "called_out_of_focus": float((soft.argmax(1) == 1).mean()),
            "sharp_called_out_of_focus": float((sharp.argmax(1) == 1).mean()),
        }
    return found


def _clean_share(model: TorchTileModel, picture: NDArray[np.uint8]) -> Numbers:
    tiles, _ = cut_windows(picture)
    tissue = np.array([tissue_share(tile) >= _MIN_TISSUE for tile in tiles])
    called = predict_probabilities(model, tiles[tissue]).argmax(1)
    names = {name: float((called == index).mean()) for index, name in enumerate(CLASSES) if (called == index).any()}
    return {"windows": int(tissue.sum()), **names}


def _share_called(p: FloatArray) -> float:
    return float((p.argmax(1) != 0).mean()) if len(p) else float("nan")


def _middle_share(mask: NDArray[np.bool_], corner: tuple[int, int]) -> float:
    y, x = (place + TILE_PX // 4 for place in corner)
    return float(mask[y : y + TILE_PX // 2, x : x + TILE_PX // 2].mean())


def _padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror a patch that is smaller than a tile about its edges."""
    missing = [TILE_PX - side for side in image.shape[:2]]
    return np.pad(image, (*((gap // 2, gap - gap // 2) for gap in missing), (0, 0)), mode="symmetric")
