"""hwsim is hardware as far as the daemon can tell: recorders, their cards, bays and what goes wrong with them.

The daemon runs unmodified against it and never imports it.
"""
