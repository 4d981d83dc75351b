"""The Evaluation screen: a model against a reference."""
