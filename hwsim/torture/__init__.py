"""Rounds of misfortune from a seed: the unmodified daemon, real storage, and after each all invariants checked."""
