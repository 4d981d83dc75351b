"""Second opinions from the request to the signature."""
