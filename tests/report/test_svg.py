"""Pictures: places, ticks, colours, and circles that do not cover each other."""

from __future__ import annotations

import math
import re
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from job.report.charts import move_apart
from job.report.svg import Frame, Picture, between, shade, ticks, wrapped


def frame() -> Frame:
    return Frame(Picture(350, 300), left=50, top=20, right=350, bottom=280, across=(0.0, 1.0), upwards=(0.0, 10.0))


def test_a_picture_is_xml_that_says_what_it_shows() -> None:
    picture = Picture(100, 50)
    picture.bar(0, 0.126, -1, 10, "#000000")
    picture.text(1, 10, "<5 & больше>", anchor="end", is_bold=True)
    root = ET.fromstring(picture.svg('«A» & "B"'))  # noqa: S314 - our own
    assert root.attrib["aria-label"] == '«A» & "B"'
    assert root.attrib["viewBox"] == "0 0 100 50"
    bar, text = root
    assert (bar.attrib["y"], bar.attrib["width"]) == ("0.13", "0")
    assert (text.text, text.attrib["text-anchor"], text.attrib["font-weight"]) == ("<5 & больше>", "end", "bold")


def test_values_become_places() -> None:
    assert [frame().x(value) for value in (0, 0.5, 1)] == [50, 200, 350]
    assert [frame().y(value) for value in (0, 5, 10)] == [280, 150, 20]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 3370, [0, 1000, 2000, 3000]),
        (-1.2, 2.5, [-1, 0, 1, 2]),
        (0, 0.017, [0, 0.005, 0.01, 0.015]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_ticks_are_few_and_within(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 6
    assert all(low - span * 1e-6 <= value <= low + span * (1 + 1e-6) for value in found)


def test_colours() -> None:
    assert [shade(part, "#0072B2") for part in (-1, 0, 1, 2)] == ["#F2F6FA", "#F2F6FA", "#0072B2", "#0072B2"]
    assert [between(part) for part in (0, 0.5, 1)] == ["#0072B2", "#CFC9D6", "#D55E00"]


def test_texts_are_wrapped_between_words() -> None:
    assert wrapped("Контакты за 6 месяцев, среднее", 100) == ["Контакты за 6", "месяцев,", "среднее"]
    assert wrapped("слово", 1) == ["слово"]


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 10), st.floats(7, 30)),
        min_size=1,
        max_size=8,
    )
)
@example([(0.5, 0.0, 23.0), (0.5, 2.0, 8.0)])  # apart only until they are moved into the plot
def test_circles_do_not_cover_each_other_and_stay_in_the_plot(circles: list[tuple[float, float, float]]) -> None:
    plot = frame()
    sizes = [size for _, _, size in circles]
    places = move_apart([(plot.x(risk), plot.y(profit)) for risk, profit, _ in circles], sizes, plot)
    for (one, left), (other, right) in combinations(zip(places, sizes, strict=True), 2):
        assert math.dist(one, other) >= left + right - 1
    for (x, y), size in zip(places, sizes, strict=True):
        assert plot.left + size - 1e-6 <= x <= plot.right - size + 1e-6
        assert plot.top + size - 1e-6 <= y <= plot.bottom - size + 1e-6


def test_circles_that_are_apart_stay_where_they_are() -> None:
    where = [(100.0, 100.0), (200.0, 200.0)]
    assert move_apart(where, [10, 10], frame()) == where


def test_numbers_have_two_decimals_at_most() -> None:
    picture = Picture(10, 10)
    picture.line([(1 / 3, -0.0001), (2, 3)], "#000000")
    assert re.findall(r'd="([^"]+)"', picture.svg("")) == ["M0.33 0L2 3"]
