"""Pieces that several screens share: frame, session, forms, tables, badges."""
