"""What a run is held to: counts and growth of requests, which no other load of the machine changes. Never times."""

import math
from typing import Any

MOST_REQUESTS = 8
MOST_GROWTH = 0.05
Points = list[tuple[float, float]]


def bursts(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The bursts of a run, by size."""
    return sorted((one for name, one in results.items() if name.startswith("burst ")), key=lambda one: one["instances"])


def exponent(points: Points) -> float:
    """The slope of the straight line through the logarithms (least squares): 0 constant, 1 linear, 2 quadratic.

    NaN where there is only one x.
    """
    if len({x for x, _ in points}) < 2:
        return math.nan
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)
    return float(slope)


def growth(results: dict[str, Any], side: str, figure: str) -> float:
    """The growth exponent of a figure over the bursts that a side worked to the end."""
    whole = [one for one in bursts(results) if one[side]["entries"] == one["instances"]]
    return exponent([(one["instances"], one[side][figure]) for one in whole])


def failures(results: dict[str, Any]) -> list[str]:
    """What is not as it must be, in sentences."""
    found = [
        f"{one['name']}: {one['app']['fhir_requests']} FHIR requests, {MOST_REQUESTS} are allowed"
        for one in bursts(results)
        if one["app"]["fhir_requests"] > MOST_REQUESTS
    ]
    found += [
        f"{one['name']}: {one['app']['entries']} entries of {one['instances']} were read"
        for one in bursts(results)
        if one["app"]["entries"] != one["instances"]
    ]
    if (slope := growth(results, "app", "fhir_requests")) > MOST_GROWTH:
        found.append(f"FHIR requests grow with the instances of a burst: exponent {slope:.2f}")
    return found
