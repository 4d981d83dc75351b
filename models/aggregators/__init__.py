"""Trained slide aggregators: machine learning on tile statistics, and attention over tile embeddings."""
