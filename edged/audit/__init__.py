"""Verification of what is too large to be held in view: a station, a store, a whole published log.

The questions are those of EVIDENCE.md, section 7, and the answers those of `edged.evidence.verification`. What differs
is the way: no proofs are read, the tree is computed anew from all entries and compared with every signed checkpoint;
entries stream by, originals are digested while they are read, and nothing grows with the length of a file.
"""
