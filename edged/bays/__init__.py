"""Bays: recorders come and go, are recognised, listed before anything is copied, and erased after clearance.

Nothing that a recorder says is trusted (INV-8): files are opened without following a link and never outside the
card, names are data, and what is no regular file is listed and left alone.
"""
