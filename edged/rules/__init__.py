"""What follows from the facts: matters, cases, retention, clearance. Facts in, decision out.

Nothing here reads a clock, a disk or a network, so that every decision can be repeated years later from the
facts that the ledger holds.
"""
