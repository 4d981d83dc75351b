"""Why a network answered as it did, as far as that can be shown: maps of tiles, and what a slide's score rests on."""

from core.explain.agreement import MapAgreement, agreement_of
from core.explain.maps import TileMap, overlay, relative, resized
from core.explain.methods import METHODS, NOT_A_REASON, Method
from core.explain.removal import Kept, RemovalTest, Turning, removal_test
from core.explain.sanity import Randomised, Spread, randomised, spread_of
from core.explain.slide_tiles import SlideTiles, TileRegion, regions_above
from core.explain.statistics import HeatmapStatistics, heatmap_statistics
from core.explain.superpixels import superpixels

__all__ = [
    "METHODS",
    "NOT_A_REASON",
    "HeatmapStatistics",
    "Kept",
    "MapAgreement",
    "Method",
    "Randomised",
    "RemovalTest",
    "SlideTiles",
    "Spread",
    "TileMap",
    "TileRegion",
    "Turning",
    "agreement_of",
    "heatmap_statistics",
    "overlay",
    "randomised",
    "regions_above",
    "relative",
    "removal_test",
    "resized",
    "spread_of",
    "superpixels",
]
