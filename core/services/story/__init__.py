"""The demonstration: its cohort, and the five minutes that it is told in."""
