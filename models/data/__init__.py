"""Labelled patches and how patients are divided: what training and evaluation both read."""
