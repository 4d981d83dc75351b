"""Tile results in the layout of WSInfer (Kaczmarzyk et al., npj Precision Oncology 2024).

`model-outputs-csv/<slide>.csv` holds minx, miny, width, height in level-0 pixels and prob_<Class>;
`model-outputs-geojson/<slide>.geojson` the same as QuPath tile objects; `run_metadata_<UTC>.json` how they were made.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import pandas as pd

CLASS_COLOURS = ((178, 24, 43), (33, 102, 172), (90, 90, 90), (27, 120, 55), (118, 42, 131))
"""RGB of the classes in QuPath, most suspicious first."""

_UUID_SPACE = uuid.UUID("5ec0d2ea-d000-5000-8000-000000000000")
"""Makes the ids of tile objects the same at every export, so that importing twice does not double them."""


def tile_table(tiles: pd.DataFrame) -> pd.DataFrame:
    """Return the columns WSInfer writes from the columns of `tiles.parquet`."""
    table = tiles[["x", "y", "width", "height"]].rename(columns={"x": "minx", "y": "miny"})
    return table.join(tiles[[name for name in tiles.columns if name.startswith("prob_")]])


def tile_features(table: pd.DataFrame, *, slide_id: str, run_id: str) -> dict[str, object]:
    """Return a QuPath FeatureCollection of tile objects, closed rings in level-0 pixels.

    Args:
        table: Output of `tile_table`.
        slide_id: With `run_id` and the position it makes the UUID of each object.
        run_id: The run the values come from.
    """
    classes = [name.removeprefix("prob_") for name in table.columns if name.startswith("prob_")]
    return {
        "type": "FeatureCollection",
        "features": [
            _feature(row, classes, key=f"{slide_id}/{run_id}/{row['minx']},{row['miny']}")
            for row in cast("list[dict[str, float]]", table.to_dict("records"))
        ],
    }


def write_slide(out: Path, tiles: pd.DataFrame, *, slide_id: str, run_id: str) -> tuple[Path, Path]:
    """Write the CSV and the GeoJSON of one slide below `out` and return their paths."""
    table = tile_table(tiles)
    csv = out / "model-outputs-csv" / f"{slide_id}.csv"
    geojson = out / "model-outputs-geojson" / f"{slide_id}.geojson"
    for path in (csv, geojson):
        path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(csv, index=False)
    geojson.write_text(json.dumps(tile_features(table, slide_id=slide_id, run_id=run_id)), encoding="utf-8")
    return csv, geojson


def write_metadata(out: Path, runs: Sequence[Mapping[str, object]], *, now: datetime) -> Path:
    """Write `run_metadata_<UTC>.json` with one record for each slide."""
    path = out / f"run_metadata_{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps({"runs": list(runs)}, indent=1, default=str), encoding="utf-8")
    return path


def _feature(row: Mapping[str, float], classes: list[str], *, key: str) -> dict[str, object]:
    left, top = int(row["minx"]), int(row["miny"])
    right, bottom = left + int(row["width"]), top + int(row["height"])
    best = max(classes, key=lambda name: row[f"prob_{name}"])
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_UUID_SPACE, key)),
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]],
        },
        "properties": {
            "objectType": "tile",
            "classification": {"name": best, "color": list(CLASS_COLOURS[classes.index(best) % len(CLASS_COLOURS)])},
            "measurements": {f"prob_{name}": float(row[f"prob_{name}"]) for name in classes},
        },
    }
