"""What was measured, kept between runs under the hash of everything that went in."""

from __future__ import annotations

import streamlit as st

from core.services.evaluation.compare import ModelComparison, compare_prepared
from core.services.evaluation.figures import measure
from core.services.evaluation.gather import Prepared
from core.services.evaluation.values import EvaluationResult
from core.settings import Settings


def kept_result(settings: Settings, prepared: Prepared) -> EvaluationResult:
    """Return the result of what was gathered; measured once for each content.

    Raises:
        InputError: no unit has both a score and a label.
    """
    return _result(settings, prepared, str(settings.home), prepared.key)


def kept_comparison(first: Prepared, second: Prepared) -> ModelComparison:
    """Return the comparison of two models; measured once for each content.

    Raises:
        InputError: they have no unit in common.
    """
    return _comparison(first, second, first.key, second.key)


@st.cache_resource(max_entries=32, show_spinner="Measuring")
def _result(_settings: Settings, _prepared: Prepared, home: str, key: str) -> EvaluationResult:
    del home, key
    return measure(_settings, _prepared)


@st.cache_resource(max_entries=32, show_spinner="Comparing")
def _comparison(_first: Prepared, _second: Prepared, first: str, second: str) -> ModelComparison:
    del first, second
    return compare_prepared(_first, _second)
