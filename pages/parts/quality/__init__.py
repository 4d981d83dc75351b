"""The Quality screen: verdicts, cohort, second reads, limits, and one slide."""
