"""Position tracks as a receiver writes them: NMEA 0183 sentences RMC and GGA, one pair a second."""

import math
import random
from datetime import UTC, datetime, timedelta

_METRES_PER_DEGREE = 111_320.0
_KNOTS_PER_METRE_A_SECOND = 1.943_844


def track(began: datetime, seconds: int, rng: random.Random) -> bytes:
    """Write the walk of an officer for `seconds`, from `began` (aware; a receiver writes UTC)."""
    latitude, longitude = 34.62 + rng.uniform(-0.02, 0.02), 112.45 + rng.uniform(-0.02, 0.02)
    course, speed = rng.uniform(0, 360), 1.3
    lines = []
    for second in range(max(1, seconds)):
        moment = (began + timedelta(seconds=second)).astimezone(UTC)
        lines += [_rmc(moment, latitude, longitude, speed, course), _gga(moment, latitude, longitude, rng)]
        course = (course + rng.gauss(0, 12)) % 360
        speed = min(2.5, max(0.0, speed + rng.gauss(0, 0.15)))
        latitude += speed * math.cos(math.radians(course)) / _METRES_PER_DEGREE
        east = _METRES_PER_DEGREE * math.cos(math.radians(latitude))
        longitude += speed * math.sin(math.radians(course)) / east
    return "".join(line + "\r\n" for line in lines).encode("ascii")


def sentence(body: str) -> str:
    """Frame a sentence: `$`, the body, `*` and its checksum (exclusive or of all bytes of the body)."""
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}"


def _rmc(moment: datetime, latitude: float, longitude: float, speed: float, course: float) -> str:
    place = f"{_degrees(latitude, 2, 'NS')},{_degrees(longitude, 3, 'EW')}"
    knots = speed * _KNOTS_PER_METRE_A_SECOND
    return sentence(f"GPRMC,{moment:%H%M%S}.00,A,{place},{knots:.2f},{course:.1f},{moment:%d%m%y},,,A")


def _gga(moment: datetime, latitude: float, longitude: float, rng: random.Random) -> str:
    place = f"{_degrees(latitude, 2, 'NS')},{_degrees(longitude, 3, 'EW')}"
    satellites, dilution, height = rng.randint(7, 12), rng.uniform(0.7, 1.4), rng.uniform(143, 147)
    return sentence(f"GPGGA,{moment:%H%M%S}.00,{place},1,{satellites:02},{dilution:.1f},{height:.1f},M,-16.0,M,,")


def _degrees(value: float, digits: int, letters: str) -> str:
    """Write degrees and decimal minutes, `ddmm.mmmm,N`."""
    # In ten-thousandths of a minute, so that 59.99999 does not become 60.0000.
    whole, rest = divmod(round(abs(value) * 600_000), 600_000)
    return f"{whole:0{digits}}{rest // 10_000:02}.{rest % 10_000:04},{letters[value < 0]}"
