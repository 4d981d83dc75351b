"""The five-minute story of the demonstration."""
