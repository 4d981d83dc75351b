"""The Calibration screen."""
