"""Conformal calibrations: made, applied, and watched."""
