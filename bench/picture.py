"""docs/performance.svg: requests and seconds of a burst over its instances, both axes logarithmic."""

import math
from pathlib import Path
from typing import Any

from bench.checks import bursts
from bench.report import is_whole, label, scaled
from bench.report_in_hosts import RE_ENACTMENT, REAL

FILE = Path(__file__).resolve().parent.parent / "docs" / "performance.svg"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 380, 300, 60, 50, 40
SIDES = (("app", "this app", "#0969da"), ("cast", "", "#bc4c00"))
LABELS = {REAL: "DICOM Cast", RE_ENACTMENT: "re-enactment of DICOM Cast"}
CHARTS = (("fhir_requests", "FHIR requests of a burst"), ("seconds", "seconds of a burst"))
Point = tuple[float, float]


class Axes:
    """Decades to pixels."""

    def __init__(self, points: list[Point], left: int) -> None:
        self._left = left
        self.x, self.y = (_decades([point[axis] for point in points]) for axis in (0, 1))

    def at(self, point: Point) -> Point:
        """Where a point is in the picture."""
        x = self._left + LEFT + (math.log10(point[0]) - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - 20)
        share = (math.log10(point[1]) - self.y[0]) / (self.y[1] - self.y[0])
        return round(x, 1), round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)


def _decades(values: list[float]) -> tuple[int, int]:
    lowest, highest = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return lowest, max(highest, lowest + 1)


def write(results: dict[str, Any]) -> None:
    """Draw both charts side by side."""
    charts = [_chart(results, figure, title, WIDTH * number) for number, (figure, title) in enumerate(CHARTS)]
    size = f'width="{WIDTH * 2}" height="{HEIGHT + 30}" viewBox="0 0 {WIDTH * 2} {HEIGHT + 30}"'
    legend = [
        f'<circle cx="{60 + 170 * n}" cy="{HEIGHT + 12}" r="4" fill="{colour}"/>'
        + _text(70 + 170 * n, HEIGHT + 16, name or LABELS[label(results)])
        for n, (_, name, colour) in enumerate(SIDES)
    ]
    legend.append(_text(440, HEIGHT + 16, "hollow: extrapolated from its first entries"))
    background = '<rect width="100%" height="100%" fill="white"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    FILE.write_text("\n".join([head, background, *charts, *legend, "</svg>"]) + "\n")


def _chart(results: dict[str, Any], figure: str, title: str, left: int) -> str:
    found = bursts(results)
    lines = {side: [(one["instances"], scaled(one, side, figure)) for one in found] for side, _, _ in SIDES}
    axes = Axes([point for points in lines.values() for point in points], left)
    parts = [_text(left + LEFT, 24, title), *_grid(axes)]
    for side, _, colour in SIDES:
        path = " ".join(f"{x},{y}" for x, y in map(axes.at, lines[side]))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for one, (x, y) in zip(found, map(axes.at, lines[side]), strict=True):
            fill = colour if is_whole(one, side) else "white"
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="{colour}"/>')
    return "\n".join(parts)


def _grid(axes: Axes) -> list[str]:
    lines = []
    for power in range(axes.x[0], axes.x[1] + 1):
        (x, low), (_, high) = (axes.at((10**power, 10.0**end)) for end in axes.y)
        lines.append(f'<line x1="{x}" y1="{low}" x2="{x}" y2="{high}" stroke="#d0d7de"/>')
        lines.append(_text(x, low + 18, f"{10**power:,}", "middle"))
    for power in range(axes.y[0], axes.y[1] + 1):
        (left, y), (right, _) = (axes.at((10.0**end, 10.0**power)) for end in axes.x)
        lines.append(f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="#d0d7de"/>')
        lines.append(_text(left - 8, y + 4, f"{10.0**power:,.15g}", "end"))
    return lines


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
