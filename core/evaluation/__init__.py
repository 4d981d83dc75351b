"""Truth and results -> metrics, curves, intervals and comparisons, for a page and for a report alike."""
