"""The append-only log: one SQLite file, short connections, plain functions. The only place that talks to SQLite."""
