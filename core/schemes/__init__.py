"""Reading schemes: what a reader may answer, in which order, and what it means when two answers differ.

A scheme is a TOML file: categories from least to most severe, other words for them, and the severity of each pair.
The files beside this module are the shipped ones; a department may keep its own (`read_scheme`).
"""

from core.schemes.loading import load_scheme, parse_scheme, read_scheme, scheme_names
from core.schemes.scheme import INDETERMINATE, Category, Scheme, Severity

__all__ = [
    "INDETERMINATE",
    "Category",
    "Scheme",
    "Severity",
    "load_scheme",
    "parse_scheme",
    "read_scheme",
    "scheme_names",
]
