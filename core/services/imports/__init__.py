"""Reads and predictions taken in from tables."""
