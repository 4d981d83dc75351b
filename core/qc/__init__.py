"""Quality control of a slide: which part of it cannot be trusted, why, and what to do.

`survey` reads the slide once; `detectors` and `network` look at it; `joining` makes one `artefact_map` of what they
find; `slide_report` sums it up to a `report` with a suggested `disposition`.
"""
