"""Networks, their training, and the model cards that say what a network may be asked. The only place with torch."""
