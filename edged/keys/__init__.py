"""The station's key files, and the changing over from one epoch's key to the next.

    keys/epoch.key         Ed25519, PKCS#8 PEM, readable by the daemon's user alone: signs the epoch that is signed now
    keys/station.pem       certificate of that key, then its issuers without the root
    keys/root.pem          certificates of the roots that vouch for the station's epochs, the newest first
    keys/closed/EPOCH.pem  certificates of an earlier epoch; its private key is destroyed
    keys/next/             the next epoch's: epoch.key, request.pem; once it is certified, station.pem and root.pem

The root's own private key is written where the person who makes the station says, and belongs off the station:
whoever holds it can certify anything (EVIDENCE.md, section 4).
"""

from edged.keys.certifying import certify, check_answer, make_request, request_of
from edged.keys.files import private_problems
from edged.keys.folder import (
    EPOCH_KEY,
    ROOT_PEM,
    STATION_PEM,
    KeyFolder,
    StationKey,
    Waiting,
    load,
    load_certificates,
    make,
)

__all__ = [
    "EPOCH_KEY",
    "ROOT_PEM",
    "STATION_PEM",
    "KeyFolder",
    "StationKey",
    "Waiting",
    "certify",
    "check_answer",
    "load",
    "load_certificates",
    "make",
    "make_request",
    "private_problems",
    "request_of",
]
