"""The report's pictures as SVG: markup from points that are already computed.

Numbers belong in ``analysis`` and ``curves``, colours in ``templates/style.css``, PNG thumbnails
in ``thumbnails`` (re-exported here), text in ``i18n``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup

from ml.evaluation.svg import Point, Scale, Svg, scale, ticks
from ml.evaluation.thumbnails import churn_png, segments_png

__all__ = [
    "Curve",
    "Dot",
    "DotPanel",
    "Span",
    "SpanRow",
    "Whisker",
    "churn_png",
    "curve_plot",
    "dot_plot",
    "segments_png",
    "timeline",
]
NARROW, WIDE = 340.0, 720.0


@dataclass(frozen=True)
class Whisker:
    """A vertical interval at x."""

    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """One line of a plot: ``css`` is c0 (what ships), c1 (best rule), c2 or cx (others)."""

    label: str
    css: str
    points: Sequence[Point]
    whiskers: Sequence[Whisker] = ()
    dots: bool = False


@dataclass(frozen=True)
class Dot:
    """One row of a dot plot; ``kind`` is rule, model, ship or oracle."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    kind: str
    text: str


@dataclass(frozen=True)
class DotPanel:
    """The rows of one cutoff, and where the best simple rule stands."""

    title: str
    rows: Sequence[Dot]
    reference: float | None


@dataclass(frozen=True)
class Span:
    """A dot at ``at`` with a window up to ``until`` (dashed when it is still to come)."""

    at: date
    until: date | None
    ahead: bool = False


@dataclass(frozen=True)
class SpanRow:
    """One labelled row of the timeline; ``css`` is history, train, test or score."""

    label: str
    css: str
    spans: Sequence[Span]


def curve_plot(
    curves: Sequence[Curve],
    *,
    label: str,
    x_label: str,
    y_label: str,
    x_format: Callable[[float], str],
    y_format: Callable[[float], str],
    y_range: tuple[float, float] = (0.0, 1.0),
    reference: Sequence[Point] = (),
    reference_label: str = "",
    key: str = "br",
) -> Markup:
    """A square plot of curves over x in 0..1, with its key inside.

    Args:
        curves: drawn in reverse, so that the first lies on top.
        label: text alternative.
        x_label: under the axis.
        y_label: above it, level, so that nobody tilts the head.
        x_format: writes a tick of x.
        y_format: writes a tick of y.
        y_range: lower and upper end.
        reference: a dashed line, for instance the base rate.
        reference_label: written under its first point.
        key: corner of the key: br, tr, tl.
    """
    left, right, top, bottom = 40.0, 10.0, 24.0, 36.0
    height = 310.0
    picture = Svg(NARROW, height, label)
    x, y = scale(0, 1, left, NARROW - right), scale(*y_range, height - bottom, top)
    picture.text((left - 32, 12), y_label, "lab")
    for value in ticks(*y_range, 6):
        picture.line((left, y(value)), (NARROW - right, y(value)), "grid")
        picture.text((left - 6, y(value) + 4), y_format(value), "tick", "end")
    for value in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        picture.line((x(value), height - bottom), (x(value), height - bottom + 4), "axis")
        picture.text((x(value), height - bottom + 16), x_format(value), "tick", "middle")
    picture.line((left, height - bottom), (NARROW - right, height - bottom), "axis")
    picture.text((NARROW - right, height - 4), x_label, "lab", "end")
    if reference:
        picture.path([(x(a), y(b)) for a, b in reference], "ref")
        picture.text((x(0) + 5, y(reference[0][1]) + 14), reference_label, "halo tick")
    for curve in reversed(curves):
        for w in curve.whiskers:
            picture.line((x(w.x), y(w.low)), (x(w.x), y(w.high)), f"whisker {curve.css}")
        picture.path([(x(a), y(b)) for a, b in curve.points], f"curve {curve.css}")
        if curve.dots:
            for a, b in curve.points:
                picture.circle((x(a), y(b)), 2.6, f"dot {curve.css}")
    _key(picture, curves, key, (left, NARROW - right, top, height - bottom))
    return picture.render()


def _key(
    picture: Svg, curves: Sequence[Curve], corner: str, box: tuple[float, float, float, float]
) -> None:
    """Names in their colours beside a piece of their line, in a corner of the plot."""
    left, right, top, bottom = box
    step = 15.0
    first = bottom - 12 - step * (len(curves) - 1) if corner[0] == "b" else top + 13
    for i, curve in enumerate(curves):
        at = first + i * step
        if corner[1] == "r":
            picture.line((right - 22, at - 4), (right - 4, at - 4), f"curve {curve.css}")
            picture.text((right - 27, at), curve.label, f"halo key t-{curve.css}", "end")
        else:
            picture.line((left + 8, at - 4), (left + 26, at - 4), f"curve {curve.css}")
            picture.text((left + 31, at), curve.label, f"halo key t-{curve.css}")


def dot_plot(panels: Sequence[DotPanel], *, label: str, wide: bool) -> Markup:
    """AUC with intervals, one panel a cutoff: side by side when wide, stacked when narrow.

    One x axis for all panels, so that cutoffs can be compared by eye. The dashed line is the
    best simple rule.
    """
    values = [v for p in panels for r in p.rows for v in (r.value, r.low, r.high) if v is not None]
    low = min([*values, 0.5]) if min(values) < 0.5 else min(values)
    low, high = int(low * 20) / 20, min(1.0, -(-max(values) * 20 // 1) / 20)
    row, names, numbers = 19.0, 112.0, 38.0
    body = row * max(len(p.rows) for p in panels)
    width = WIDE if wide else NARROW
    across = len(panels) if wide else 1
    block = 24.0 + body + 24.0
    height = block if wide else block * len(panels)
    picture = Svg(width, height, label, "wide" if wide else "narrow")
    room = (width - names) / across
    for i, panel in enumerate(panels):
        left = names + (i * room if wide else 0)
        top = 0.0 if wide else i * block
        x = scale(low, high, left + 8, left + room - numbers - 4)
        _dot_panel(picture, panel, x, (left, top, room, body), ticks(low, high, 4))
        if not wide or i == 0:
            for j, dot in enumerate(panel.rows):
                css = "name strong" if dot.kind == "ship" else "name"
                picture.text((names - 4, top + 24 + row * (j + 0.5) + 4), dot.label, css, "end")
    return picture.render()


def _dot_panel(
    picture: Svg,
    panel: DotPanel,
    x: Scale,
    box: tuple[float, float, float, float],
    marks: Sequence[float],
) -> None:
    left, top, room, body = box
    row = 19.0
    first, last = top + 24, top + 24 + body
    picture.text((left + 8, top + 14), panel.title, "head")
    for value in marks:
        picture.line((x(value), first), (x(value), last), "grid")
        picture.text((x(value), last + 14), f"{value:.2f}", "tick", "middle")
    if panel.reference is not None:
        picture.line((x(panel.reference), first), (x(panel.reference), last), "ref")
    for j, dot in enumerate(panel.rows):
        y = first + row * (j + 0.5)
        if dot.value is None:
            continue
        if dot.low is not None and dot.high is not None:
            picture.line((x(dot.low), y), (x(dot.high), y), f"bar k-{dot.kind}")
        if dot.kind == "oracle":
            picture.diamond((x(dot.value), y), 4.5, "mark k-oracle")
        else:
            picture.circle((x(dot.value), y), 3.8, f"mark k-{dot.kind}")
        css = "num strong" if dot.kind == "ship" else "num"
        picture.text((left + room - 2, y + 4), dot.text, css, "end")


def timeline(rows: Sequence[SpanRow], *, label: str, wide: bool) -> Markup:
    """History, training dates, test cutoffs and their label windows on one time axis."""
    width = WIDE if wide else NARROW
    names, right, top, pitch = (108.0 if wide else 78.0), 14.0, 8.0, 6.0
    days = [d for r in rows for s in r.spans for d in (s.at, s.until) if d is not None]
    first, last = min(days), max(days)
    heights = [max(20.0, pitch * len(r.spans) + 10) for r in rows]
    height = top + sum(heights) + 24
    picture = Svg(width, height, label, "wide" if wide else "narrow")
    x = scale(first.toordinal(), last.toordinal(), names + 8, width - right)
    for day, text in _dates(first, last, 7 if wide else 4):
        at = x(day.toordinal())
        picture.line((at, top), (at, height - 22), "grid")
        picture.text((at, height - 7), text, "tick", "middle")
    y = top
    for row, room in zip(rows, heights, strict=True):
        picture.text((names - 4, y + room / 2 + 4), row.label, "name", "end")
        for i, span in enumerate(row.spans):
            level = y + room / 2 + pitch * (i - (len(row.spans) - 1) / 2)
            start = x(span.at.toordinal())
            if span.until is not None:
                stop = x(span.until.toordinal())
                css = f"span s-{row.css}" + (" ahead" if span.ahead else "")
                picture.line((start, level), (stop, level), css)
            if row.css != "history":
                picture.circle((start, level), 2.8, f"mark s-{row.css}")
        y += room
        picture.line((0, y), (width, y), "grid")
    return picture.render()


def _dates(first: date, last: date, most: int) -> list[tuple[date, str]]:
    """Firsts of months (or years) inside the axis, at most ``most`` of them."""
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    step = next((s for s in (1, 2, 3, 6, 12, 24, 60) if months / s <= most), 120)
    if months <= 1:
        return [(first, f"{first:%m-%d}"), (last, f"{last:%m-%d}")]
    found = []
    day = date(first.year, 1, 1)
    while day <= last:
        if day >= first:
            found.append((day, f"{day:%Y}" if step >= 12 else f"{day:%Y-%m}"))
        index = day.year * 12 + day.month - 1 + step
        day = date(index // 12, index % 12 + 1, 1)
    # a label at the very edge would be cut
    edge = timedelta(days=max(1, (last - first).days // 40))
    return [(d, text) for d, text in found if d <= last - edge or len(found) < 3]
