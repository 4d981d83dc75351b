"""Where a model was wrong, and why, as two readers see it."""
