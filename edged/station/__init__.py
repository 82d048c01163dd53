"""The station: the composition root and its workers. Read `docking` first: it is the way of a recorder's files.

`assembly` builds the parts, `docking` takes one recorder from arrival to release, the modules of `jobs` carry
out what the facts in the book say is due next, and `daemon` starts, supervises and stops it all.
"""
