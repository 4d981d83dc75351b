"""The Worklist screen."""
