"""Who there is, who may do what, and sessions."""
