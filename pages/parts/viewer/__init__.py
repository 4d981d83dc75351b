"""Showing a slide: the zooming viewer, its component in JavaScript, and the still overview."""
