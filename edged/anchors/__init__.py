"""Anchors in time: asking authorities and witnesses for them, and being a witness of others."""
