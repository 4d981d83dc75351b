"""One slide from file to result, and what decides it."""
