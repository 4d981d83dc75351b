"""What to look at again with the time there is, and the audit of what is not."""
