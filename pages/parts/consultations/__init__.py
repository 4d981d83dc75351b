"""Second opinions, on their own screen and on the Case screen."""
