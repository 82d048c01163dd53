"""What a bundle shows, and what it does not: EVIDENCE.md, section 7, as one pure function.

`verify` takes the files of a bundle and what the verifier trusts, and gives a `Report` with every check, where an
original was altered, and what stays unproven. It opens no file, asks no clock and no network.
"""

from edged.evidence.verification.port import BundleFile, BundleFiles, Trust
from edged.evidence.verification.report import Check, Damage, Report, SegmentReport
from edged.evidence.verification.sentences import sentences
from edged.evidence.verification.verify import verify
from edged.evidence.verification.words import Words

__all__ = [
    "BundleFile",
    "BundleFiles",
    "Check",
    "Damage",
    "Report",
    "SegmentReport",
    "Trust",
    "Words",
    "sentences",
    "verify",
]
