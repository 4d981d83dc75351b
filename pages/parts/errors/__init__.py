"""The Errors screen: what a model missed or called wrongly."""
