"""The screen that adds slides and follows jobs."""
