"""Data, embeddings and fits for models that are trained here."""
