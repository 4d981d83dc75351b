"""The layout other programs read, to the letter."""

import json
import uuid
from datetime import UTC, datetime

import pandas as pd

from core.interop.wsinfer import tile_features, tile_table, write_metadata, write_slide

TILES = pd.DataFrame(
    {
        "x": [0, 400],
        "y": [800, 800],
        "width": [400, 400],
        "height": [400, 400],
        "prob_idc": [0.75, 0.1],
        "prob_no_idc": [0.25, 0.9],
        "qc_focus": [1.0, 0.5],
    }
)


def test_csv_has_the_columns_and_nothing_else(tmp_path):
    csv, _ = write_slide(tmp_path, TILES, slide_id="A.1", run_id="r1")
    assert csv == tmp_path / "model-outputs-csv" / "A.1.csv"
    assert csv.read_text().splitlines() == [
        "minx,miny,width,height,prob_idc,prob_no_idc",
        "0,800,400,400,0.75,0.25",
        "400,800,400,400,0.1,0.9",
    ]


def test_geojson_is_a_collection_of_closed_qupath_tiles():
    features = tile_features(tile_table(TILES), slide_id="A.1", run_id="r1")["features"]
    assert features[0]["geometry"]["coordinates"] == [[[0, 800], [400, 800], [400, 1200], [0, 1200], [0, 800]]]
    assert features[0]["properties"]["objectType"] == "tile"
    assert features[0]["properties"]["classification"] == {"name": "idc", "color": [178, 24, 43]}
    assert features[1]["properties"]["classification"]["name"] == "no_idc"
    assert features[1]["properties"]["measurements"] == {"prob_idc": 0.1, "prob_no_idc": 0.9}
    assert len({str(uuid.UUID(feature["id"])) for feature in features}) == 2


def test_ids_stay_the_same_for_the_same_run_and_differ_between_runs():
    table = tile_table(TILES)
    first, again, other = (
        [feature["id"] for feature in tile_features(table, slide_id="A", run_id=run)["features"]]
        for run in ("r1", "r1", "r2")
    )
    assert first == again
    assert not set(first) & set(other)


def test_metadata_names_the_time(tmp_path):
    path = write_metadata(tmp_path, [{"slide_id": "A"}], now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert path.name == "run_metadata_20260102T030405Z.json"
    assert json.loads(path.read_text()) == {"runs": [{"slide_id": "A"}]}
