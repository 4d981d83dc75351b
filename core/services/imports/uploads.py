"""Uploaded tables of reads and predictions, and what their columns mean: what pages need of them."""

from __future__ import annotations

from core.interop.csv_upload import ENCODINGS, Upload, read_upload, with_prefix, with_words
from core.interop.predictions_csv import PredictionsMapping
from core.interop.reads_guess import guess_case, guess_mapping, words_in
from core.interop.reads_layout import Layout, ReadsMapping

__all__ = [
    "ENCODINGS",
    "Layout",
    "PredictionsMapping",
    "ReadsMapping",
    "Upload",
    "guess_case",
    "guess_mapping",
    "read_upload",
    "with_prefix",
    "with_words",
    "words_in",
]
