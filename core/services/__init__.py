"""The only composers of stages, store and models: what the pages, the command line and the worker call."""
