"""A small SVG writer: shapes with classes, real text, no fonts and no dates.

Colours and font sizes belong in ``templates/style.css``; what to draw belongs in ``plots``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

Scale = Callable[[float], float]
Point = tuple[float, float]


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def scale(low: float, high: float, start: float, stop: float) -> Scale:
    """A linear map of [low, high] to pixels [start, stop]."""
    span = (high - low) or 1.0
    return lambda v: start + (v - low) / span * (stop - start)


class Svg:
    """Collects elements; ``render`` gives one ``<svg>`` with a text alternative."""

    def __init__(self, width: float, height: float, label: str, css: str = "") -> None:
        self.width, self.height, self.label, self.css = width, height, label, css
        self.parts: list[str] = []

    def line(self, a: Point, b: Point, css: str) -> None:
        """A straight line."""
        self.parts.append(
            f'<line x1="{number(a[0])}" y1="{number(a[1])}" x2="{number(b[0])}" '
            f'y2="{number(b[1])}" class="{escape(css)}"/>'
        )

    def path(self, points: Iterable[Point], css: str, *, step: bool = False) -> None:
        """A line through the points; with ``step``, first up, then across."""
        commands: list[str] = []
        for x, y in points:
            if commands and step:
                commands.append(f"V{number(y)}H{number(x)}")
            else:
                commands.append(f"{'L' if commands else 'M'}{number(x)} {number(y)}")
        self.parts.append(f'<path d="{"".join(commands)}" class="{escape(css)}"/>')

    def rect(self, x: float, y: float, width: float, height: float, css: str) -> None:
        """A rectangle; a negative size counts as none."""
        self.parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(max(width, 0))}" '
            f'height="{number(max(height, 0))}" class="{escape(css)}"/>'
        )

    def circle(self, at: Point, radius: float, css: str) -> None:
        """A dot."""
        self.parts.append(
            f'<circle cx="{number(at[0])}" cy="{number(at[1])}" r="{number(radius)}" '
            f'class="{escape(css)}"/>'
        )

    def diamond(self, at: Point, radius: float, css: str) -> None:
        """A square on its corner."""
        x, y, r = at[0], at[1], radius
        self.parts.append(
            f'<path d="M{number(x)} {number(y - r)}L{number(x + r)} {number(y)}'
            f'L{number(x)} {number(y + r)}L{number(x - r)} {number(y)}Z" class="{escape(css)}"/>'
        )

    def text(
        self, at: Point, text: str, css: str = "", anchor: str = "start", *, turn: int = 0
    ) -> None:
        """Text whose baseline starts, centres or ends (``anchor``) at a point."""
        x, y = number(at[0]), number(at[1])
        turned = f' transform="rotate({turn} {x} {y})"' if turn else ""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        named = f' class="{escape(css)}"' if css else ""
        self.parts.append(f'<text x="{x}" y="{y}"{place}{turned}{named}>{escape(text)}</text>')

    def render(self) -> Markup:
        """The picture as markup; every text in it was escaped."""
        w, h = number(self.width), number(self.height)
        named = f' class="{escape(self.css)}"' if self.css else ""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" '
            f'height="{h}" role="img" aria-label="{escape(self.label)}"{named}>'
        )
        return Markup(head + "".join(self.parts) + "</svg>")  # noqa: S704 (escaped above)


def ticks(low: float, high: float, most: int = 6) -> Sequence[float]:
    """Round values in [low, high] in steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    for exponent in range(-3, 12):
        for unit in (1, 2, 5):
            size = unit * 10.0**exponent
            if span / size <= most:
                first = -(-low // size)
                count = int((high - first * size) / size + 1e-9) + 1
                return [round((first + i) * size, 6) for i in range(count)]
    return [low, high]
