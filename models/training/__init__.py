"""Training: a configuration and labelled patches in; weights, card, log and record out."""
