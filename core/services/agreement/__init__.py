"""Agreement of readers and of the model with them."""
