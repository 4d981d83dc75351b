"""Measuring models: metrics with intervals over patients, baselines, cross-validation and the comparison table."""
