"""Models against references, and how far their calls depend on what should not matter."""
