"""Classical detectors, each a pure function of the pixels; `evidence` runs them all."""
