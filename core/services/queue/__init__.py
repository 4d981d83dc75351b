"""The queue of jobs, the worker that takes them, and what keeps it alive."""
