"""The slide threshold parts the stand-in slides as worked by hand."""

import numpy as np
import pytest

from models.training.slide_threshold import choose_slide_threshold

# Patient: positives, negatives. Highest tile with disease .9 .8 .7 .3, without .2 .4 .6 .1
PATCHES = {
    "a": ([0.9], [0.2, 0.1]),
    "b": ([0.8, 0.5], [0.4]),
    "c": ([0.7], [0.6, 0.2]),
    "d": ([0.3], [0.1]),
}


def table():
    rows = [
        (value, positive, name)
        for name, (with_target, without) in PATCHES.items()
        for positive, values in ((True, with_target), (False, without))
        for value in values
    ]
    probability, truth, groups = (np.array(column) for column in zip(*rows, strict=True))
    return probability, truth, groups


def test_threshold_maximises_youdens_index_on_the_highest_tiles():
    probability, truth, groups = table()
    found = choose_slide_threshold(probability, truth=truth, groups=groups)
    assert found.value == pytest.approx(0.65)  # half-way between .6 and .7
    assert (found.sensitivity, found.specificity) == (0.75, 1.0)
    assert (found.with_disease, found.without_disease) == (4, 4)
    assert "(0.75)" in found.words


def test_a_patient_without_the_target_counts_as_negative_only():
    probability, truth, groups = table()
    found = choose_slide_threshold(
        np.append(probability, 0.95), truth=np.append(truth, False), groups=np.append(groups, "e")
    )
    assert (found.with_disease, found.without_disease) == (4, 5)
    assert found.specificity < 1


def test_one_sided_data_are_refused():
    with pytest.raises(ValueError, match="with and without"):
        choose_slide_threshold(np.array([0.5]), truth=np.array([True]), groups=np.array(["a"]))
