"""The Triage board."""
