"""Artefacts of slides, simulated on real tiles: what the quality-control network learns from."""
