"""Keys under which a run's settings tell of aggregators: written by the analysis, read by the screens."""

AGGREGATORS = "aggregators"
"""Name, kind, target, meaning, warning, threshold, weights and encoder of every aggregator that scored the run."""
REFUSED = "aggregators_refused"
"""Name -> why an active aggregator was not used on this run."""
DECISION_CHOSEN = "decision_chosen"
"""That the user chose what decides, in a sentence; absent where the default rule does."""
