"""Pixel by pixel: the artefact maps of quality control against the masks of the real pen and coverslip crops.

Run from the project's root: `python benchmarks/artefact_table.py --data DIR`. Measures the crops and the real slide as
the product does, with the network and with the detectors alone, stores the figures in models/results/artefacts, and
writes all tables of the artefact network into models/README.md. The crops state no scale: they are taken for 8 um/px
(1.25x, at which such overviews are looked at) and, beside it, for 4.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from core.qc.artefact_map import ArtefactMap
from core.qc.classes import ArtefactClass
from core.qc.comparison import compare_masks
from core.services.quality.measure import measure_slide
from core.services.quality.network import ArtefactNetwork, artefact_network
from core.settings import Settings
from core.slides import open_slide
from models.cards import SHIPPED, load_card
from models.evaluation.artefact_shares import RESULTS
from models.evaluation.artefact_table import MARKERS
from models.evaluation.artefacts import PIXELS, table
from models.evaluation.comparison_table import replace_between

SCALES = (8.0, 4.0)
CROPS = (
    ("pen/pen_green", ArtefactClass.PEN),
    ("pen/pen_red", ArtefactClass.PEN),
    ("coverslip_edge/he", ArtefactClass.BUBBLE_EDGE),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    data = parser.parse_args().data
    settings, networks = Settings(home=Path("unused")), (artefact_network("cpu"), ArtefactNetwork(None, "", ""))
    crops: list[dict[str, object]] = []
    for name, kind in CROPS:
        path = data / "artefacts" / f"{name}.png"
        reference = Image.open(path.with_name(f"{path.stem}_mask.png")).convert("L")
        for mpp in SCALES:
            for network in networks:
                with open_slide(path, mpp=mpp) as reader:
                    result = measure_slide(settings, reader, network=network)
                took_part = bool(result.report.network)
                if network.model is not None and not took_part:  # too coarse for it: the same as the detectors alone
                    continue
                figures = against(result.map, kind, reference)
                crops.append({"crop": name, "um_per_px": mpp, "network": took_part, **figures})
    with open_slide(data / "slides" / "CMU-1-Small-Region.svs") as reader:
        with_network, alone = (measure_slide(settings, reader, network=network).report for network in networks)
    usable = {"with the network": with_network.usable_fraction, "detectors alone": alone.usable_fraction}
    stored = {"weights_sha256": load_card("artefacts").weights_sha256, "crops": crops, "usable": usable}
    (RESULTS / PIXELS).write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    readme = SHIPPED / "README.md"
    text = replace_between(readme.read_text(encoding="utf-8"), table(), markers=MARKERS)
    readme.write_text(text, encoding="utf-8")


def against(found: ArtefactMap, kind: ArtefactClass, reference: Image.Image) -> dict[str, float | None]:
    """Compare one class with its mask over the whole crop, glass included: ink beside tissue is ink as well."""
    height, width = found.labels.shape
    mask = np.asarray(reference.resize((width, height), Image.Resampling.BOX)) >= 128
    everywhere = np.ones(mask.shape, bool)
    compared = compare_masks(found.labels == kind.code, mask, tissue=everywhere, px_mm2=found.px_mm2)
    return {name: getattr(compared, name) for name in ("accuracy", "tpr", "tnr", "npv", "dice")}


if __name__ == "__main__":
    main()
