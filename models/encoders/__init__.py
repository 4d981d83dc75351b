"""Encoders: networks that describe a tile by a vector, built in or loaded from a folder that the user provides."""
