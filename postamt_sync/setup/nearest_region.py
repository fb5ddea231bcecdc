"""The region nearest to this machine, among those in which SES receives mail.

The time zone says well enough where a machine is: the system's own table has its coordinates.
Nothing is looked up over the network.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.aws.regions import OPT_IN, RECEIVING, refused_region

ZONEINFO = Path("/usr/share/zoneinfo")
LOCALTIME = Path("/etc/localtime")
FALLBACK = "eu-west-1"
_NAMED = re.compile(r"(?<![a-z-])([a-z]{2}(?:-[a-z]+)+-\d+)[a-z]?(?![a-z0-9-])")
"""A region, or one of its availability zones, as people copy it from a page or a URL."""
_PLACE = re.compile(r"([+-]\d{2})(\d{2})(?:\d{2})?([+-]\d{3})(\d{2})(?:\d{2})?")


@dataclass(frozen=True, slots=True)
class Place:
    """A place with its coordinates, in degrees."""

    name: str
    latitude: float
    longitude: float


PLACES = {
    "af-south-1": Place("Cape Town", -33.9, 18.4),
    "ap-northeast-1": Place("Tokyo", 35.7, 139.7),
    "ap-northeast-2": Place("Seoul", 37.6, 127.0),
    "ap-northeast-3": Place("Osaka", 34.7, 135.5),
    "ap-south-1": Place("Mumbai", 19.1, 72.9),
    "ap-southeast-1": Place("Singapore", 1.4, 103.8),
    "ap-southeast-2": Place("Sydney", -33.9, 151.2),
    "ap-southeast-3": Place("Jakarta", -6.2, 106.8),
    "ca-central-1": Place("Montreal", 45.5, -73.6),
    "eu-central-1": Place("Frankfurt", 50.1, 8.7),
    "eu-north-1": Place("Stockholm", 59.3, 18.1),
    "eu-south-1": Place("Milan", 45.5, 9.2),
    "eu-west-1": Place("Ireland", 53.3, -6.3),
    "eu-west-2": Place("London", 51.5, -0.1),
    "eu-west-3": Place("Paris", 48.9, 2.4),
    "il-central-1": Place("Tel Aviv", 32.1, 34.8),
    "me-south-1": Place("Bahrain", 26.1, 50.6),
    "sa-east-1": Place("Sao Paulo", -23.6, -46.6),
    "us-east-1": Place("Virginia", 39.0, -77.5),
    "us-east-2": Place("Ohio", 40.0, -83.0),
    "us-west-1": Place("California", 37.4, -121.9),
    "us-west-2": Place("Oregon", 45.8, -119.7),
}


def shown(region: str) -> str:
    """Return a region with its place: "eu-west-1 (Ireland)"."""
    place = PLACES.get(region)
    return f"{region} ({place.name})" if place else region


def read_region(text: str) -> str:
    """Return the region named in the text, by its name, an availability zone or its place. Raises
    ValueError, which says what would be right."""
    word = text.strip().lower().removesuffix(".")
    by_place = {place.name.lower(): region for region, place in PLACES.items()}
    named = {found[1] for found in _NAMED.finditer(re.sub(r"[\s_]+", "-", word))}
    named = named or {by_place[place] for place in by_place if re.search(rf"\b{place}\b", word)}
    if len(named) == 1 and named <= RECEIVING:
        return named.pop()
    near = difflib.get_close_matches(word, [*sorted(RECEIVING), *by_place], n=1)
    meant = by_place.get(near[0], near[0]) if near else FALLBACK
    refused = refused_region(word) if word else None
    problem = refused[0] if refused else "Type a region."
    raise ValueError(
        f"{problem} As in: {meant}. Mail is received in: {', '.join(sorted(RECEIVING))}"
    )


def nearest_region(environ: Mapping[str, str] = os.environ) -> str:
    """Return the nearest region that does not have to be enabled first.

    AWS's own machines (CloudShell) use UTC: there, it is the region that they are in, if SES
    receives mail there. If nothing is known it is FALLBACK.
    """
    usable = RECEIVING - OPT_IN
    place = _here(environ)
    if place is None:
        named = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
        return named if named in usable else FALLBACK
    return min(sorted(usable), key=lambda region: _distance(place, PLACES[region]))


def _here(environ: Mapping[str, str]) -> Place | None:
    zone = environ.get("TZ", "").removeprefix(":") or _system_zone()
    if not zone:
        return None
    for name in ("zone.tab", "zone1970.tab"):
        try:
            lines = (ZONEINFO / name).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split("\t")
            if len(fields) > 2 and fields[2] == zone and (place := _PLACE.fullmatch(fields[1])):
                return Place(zone, _degrees(place[1], place[2]), _degrees(place[3], place[4]))
    return None


def _system_zone() -> str:
    try:
        return str(LOCALTIME.resolve().relative_to(ZONEINFO))
    except (OSError, ValueError):
        return ""


def _degrees(whole: str, minutes: str) -> float:
    return int(whole) + math.copysign(int(minutes) / 60, -1 if whole.startswith("-") else 1)


def _distance(one: Place, other: Place) -> float:
    """Return the angle between two places, in radians (haversine formula)."""
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    c = math.radians(one.longitude - other.longitude)
    root = math.sin((a - b) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(c / 2) ** 2
    return 2 * math.asin(math.sqrt(min(1.0, root)))
