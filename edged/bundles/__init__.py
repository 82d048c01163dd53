"""Bundles: what an investigator receives (EVIDENCE.md, section 6), made from the ledger and opened for checking."""
