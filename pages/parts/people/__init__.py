"""The screen of people, roles and reading schemes."""
