"""The whole process that a user waits for: start, imports, tissue, tiles, network, saved predictions.

Run by throughput.py as a fresh process; prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from core.inference import predict_tiles
from core.settings import TissueSettings
from core.slides import open_slide
from core.tiles import TileSpec, tile_grid
from core.tissue import find_tissue
from models.device import prepare_for_tiles
from models.networks import build_network
from models.torch_model import TorchTileModel

SETTINGS = {"resnet18-224": (112.0, 0.5, 224), "idc": (200.0, 4.0, 64)}
"""Name -> tile um, um/px, side of the network's input in px."""


def random_model(setting: str) -> tuple[TorchTileModel, TileSpec]:
    """Build resnet18 with random weights for a setting; speed does not depend on the weights."""
    size_um, mpp, input_px = SETTINGS[setting]
    spec = TileSpec(size_um, mpp=mpp, min_tissue_fraction=0.0)  # the count must not depend on the tissue mask
    model = TorchTileModel.from_network(
        build_network("resnet18", classes=2),
        name=setting,
        classes=("negative", "positive"),
        tile_px=spec.size_px,
        mpp=mpp,
        input_px=input_px,
        architecture="resnet18",
        device=prepare_for_tiles("cpu"),
    )
    return model, spec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("setting", choices=sorted(SETTINGS))
    parser.add_argument("out", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    started = time.perf_counter()
    model, spec = random_model(options.setting)
    with open_slide(options.slide) as reader:
        mpp = reader.info.mpp
        assert mpp is not None
        mask = find_tissue(reader, TissueSettings())
        grid = tile_grid(reader.info.size, mpp, spec=spec, mask=mask)
        begun = time.perf_counter()
        result = predict_tiles(reader, grid, model, batch_size=options.batch, read_threads=2)
        ended = time.perf_counter()
    np.savez(options.out, xy_level0=grid.xy_level0, probabilities=result.probabilities)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak_unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    report = {
        "tiles": len(grid),
        "total": grid.total,
        "prepare_s": begun - started,
        "predict_s": ended - begun,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": usage.ru_maxrss * peak_unit / 1e6,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
