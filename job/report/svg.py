"""Pictures as SVG, written by hand: a few shapes and texts, in one font, that scale with their place.

All are about as wide as a phone, because text in an SVG shrinks with it; a desktop puts them side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from html import escape
from typing import Final

from markupsafe import Markup

from job.report.formats import compact

BLUE: Final = "#0072B2"
RED: Final = "#D55E00"
LIGHT_BLUE: Final = "#56B4E9"
GREY: Final = "#A9B1BA"
_NEITHER: Final = "#CFC9D6"
INK: Final = "#1B2430"
MUTED: Final = "#4A5561"
LINES: Final = "#E3E7EB"
"""One colour per meaning, told apart by colour-blind people (Okabe and Ito, "Color Universal Design", 2008)."""

WIDTH: Final = 350
FONT: Final = "Arial,Liberation Sans,Helvetica,sans-serif"
SMALL: Final = 11
NORMAL: Final = 12
LARGEST: Final = 1.25  # times its own size
CHARACTER: Final = 0.56  # of the size of a font: the mean width of a character


class Picture:
    """A picture that is drawn shape by shape, in units of its own, in which text is `SMALL` or `NORMAL`."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def bar(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Draw a rectangle."""
        size = f'width="{_plain(max(width, 0))}" height="{_plain(max(height, 0))}"'
        self._parts.append(f'<rect x="{_plain(x)}" y="{_plain(y)}" {size} fill="{color}"/>')

    def circle(self, x: float, y: float, radius: float, color: str, *, is_light: bool = False) -> None:
        """Draw a circle. Args: is_light: with a rim, so that what is in it can be read."""
        style = f' fill-opacity=".3" stroke="{color}" stroke-width="1.5"' if is_light else ""
        position = f'cx="{_plain(x)}" cy="{_plain(y)}" r="{_plain(radius)}"'
        self._parts.append(f'<circle {position} fill="{color}"{style}/>')

    def line(self, points: Iterable[tuple[float, float]], color: str, *, width: float = 1, dashes: str = "") -> None:
        """Draw a line through points."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        style = f'fill="none" stroke="{color}" stroke-width="{_plain(width)}"{dashed}'
        self._parts.append(f'<path d="{_path(points)}" {style}/>')

    def area(self, points: Iterable[tuple[float, float]], color: str, *, opacity: float = 1) -> None:
        """Fill what a line through points goes around."""
        self._parts.append(f'<path d="{_path(points)}Z" fill="{color}" fill-opacity="{_plain(opacity)}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        color: str = INK,
        size: int = NORMAL,
        is_bold: bool = False,
    ) -> None:
        """Write a text, its middle at the height `y`. Args: anchor: `start`, `middle` or `end` of it is at `x`."""
        style = f' text-anchor="{anchor}"' if anchor != "start" else ""
        style += ' font-weight="bold"' if is_bold else ""
        position = f'x="{_plain(x)}" y="{_plain(y + size * 0.36)}"'
        self._parts.append(f'<text {position} font-size="{size}" fill="{color}"{style}>{escape(text)}</text>')

    def svg(self, description: str) -> Markup:
        """Return the picture as an element that scales with its place and says what it shows."""
        return Markup(  # noqa: S704 - all texts are escaped
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(description)}" '
            f'viewBox="0 0 {_plain(self.width)} {_plain(self.height)}" preserveAspectRatio="xMinYMin" '
            f'font-family="{FONT}" style="max-width:{self.width * LARGEST:.0f}px">{"".join(self._parts)}</svg>'
        )


@dataclass(frozen=True)
class Frame:
    """A plot with axes in a picture: from the lowest to the highest value across and upwards."""

    picture: Picture
    _: KW_ONLY
    left: float
    top: float
    right: float
    bottom: float
    across: tuple[float, float]
    upwards: tuple[float, float]

    def x(self, value: float) -> float:
        """Return where a value is across."""
        low, high = self.across
        return self.left + (value - low) / ((high - low) or 1) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return where a value is upwards."""
        low, high = self.upwards
        return self.bottom - (value - low) / ((high - low) or 1) * (self.bottom - self.top)

    def x_axis(self, values: Sequence[float], title: str = "", *, written: Callable[[float], str] = compact) -> None:
        """Draw the axis across, with ticks at values."""
        self.picture.line([(self.left, self.bottom), (self.right, self.bottom)], GREY)
        for value in values:
            position = self.x(value)
            self.picture.line([(position, self.bottom), (position, self.bottom + 4)], GREY)
            self.picture.text(position, self.bottom + 12, written(value), anchor="middle", color=MUTED, size=SMALL)
        if title:
            middle = (self.left + self.right) / 2
            self.picture.text(middle, self.bottom + 28, title, anchor="middle", color=MUTED, size=SMALL)

    def y_axis(self, values: Sequence[float], title: str = "", *, written: Callable[[float], str] = compact) -> None:
        """Draw lines at values, written at the left; the title stands above."""
        for value in values:
            position = self.y(value)
            self.picture.line([(self.left, position), (self.right, position)], LINES)
            self.picture.text(self.left - 5, position, written(value), anchor="end", color=MUTED, size=SMALL)
        if title:
            self.picture.text(0, self.top - 14, title, color=MUTED, size=SMALL)


SHARES: Final = (0, 0.25, 0.5, 0.75, 1)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round values from one to another, about so many: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not span > 0:
        return [low]
    rough = span / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(step_number * step, 10) for step_number in range(first, last + 1)]


def wrapped(text: str, width: float, size: int = NORMAL) -> list[str]:
    """Return a text in lines that are about as wide."""
    limit = max(1, int(width / (CHARACTER * size)))
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > limit:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def shade(value: float, color: str) -> str:
    """Return a colour between nearly white (0) and another (1)."""
    return _mixed("#F2F6FA", color, value)


def between(value: float) -> str:
    """Return a colour from blue (0), for little, over one of neither, to red (1), for much."""
    return _mixed(_NEITHER, RED, value * 2 - 1) if value > 0.5 else _mixed(BLUE, _NEITHER, value * 2)  # noqa: PLR2004


def _mixed(start: str, end: str, part: float) -> str:
    part = min(max(part, 0.0), 1.0)
    pairs = ((int(start[start_at : start_at + 2], 16), int(end[start_at : start_at + 2], 16)) for start_at in (1, 3, 5))
    return "#" + "".join(f"{round(low + (high - low) * part):02X}" for low, high in pairs)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)


def _plain(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
