"""What a station signs, how it is proven, and how it is checked: EVIDENCE.md as code.

Everything in this room is pure: bytes and values in, bytes and values out. It opens no file, asks no clock
and no network, so that the same code seals on the station and judges years later on somebody else's desk.
Whatever is not as its format says is a `MalformedError`; nothing is repaired, guessed or normalised.
"""
