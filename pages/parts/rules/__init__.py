"""The Rules screen: drafts, preview, thresholds."""
