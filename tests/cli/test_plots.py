"""Curves: how points become series, how they are drawn, and what a picture needs."""

import pytest

from flow_server_sdk.cli.exits import CommandFailed
from flow_server_sdk.cli.plots import png
from flow_server_sdk.cli.plots.braille import plot
from flow_server_sdk.cli.plots.series import Curve, curves


def point(party, name, step, value):
    return {"party": party, "name": name, "step": step, "value": value, "time": 0.0}


def drawn(*given, width=40, height=10, name="loss"):
    lines = plot(name, given, width=width, height=height)
    return ["".join(text for text, _ in line) for line in lines]


def dots(lines):
    return sum((ord(c) - 0x2800).bit_count() for line in lines for c in line if c > "\u2800")


def test_points_become_curves_by_metric_and_party_in_the_order_of_steps():
    found = curves(
        [
            point("a", "loss", 2, 0.2),
            point("a", "loss", 1, 0.1),
            point("b", "loss", 1, 0.5),
            point("a", "acc", 1, 0.9),
            point("a", "loss", 2, 0.3),
        ]
    )
    assert found == {
        "loss": [
            Curve(party="a", steps=[1, 2], values=[0.1, 0.3]),
            Curve(party="b", steps=[1], values=[0.5]),
        ],
        "acc": [Curve(party="a", steps=[1], values=[0.9])],
    }


def test_a_falling_line_goes_from_the_upper_left_to_the_lower_right():
    lines = drawn(Curve(party="a", steps=[0, 10], values=[1.0, 0.0]))
    picture = [line.partition("┤")[2] for line in lines[1:-2]]
    assert (picture[0][0] > "\u2800", picture[0][-1]) == (True, " ")
    assert (picture[-1][0], picture[-1][-1] > "\u2800") == (" ", True)
    assert lines[1].startswith("1 ┤")
    assert lines[-3].startswith("0 ┤")
    assert lines[-2].split() == ["0", "10"]


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ([5], [0.3]),
        ([1, 2, 3], [7.0, 7.0, 7.0]),
        ([1, 2], [-1.7e308, 1.7e308]),
        ([-(2**62), 2**62], [5e-324, 0.0]),
    ],
)
def test_any_finite_values_are_drawn(steps, values):
    lines = drawn(Curve(party="a", steps=steps, values=values))
    assert dots(lines) > 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 5), (160, 40)])
def test_it_is_as_wide_and_as_high_as_asked_for(width, height):
    lines = drawn(Curve(party="a", steps=[1, 9], values=[0.25, 0.5]), width=width, height=height)
    assert len(lines) == max(height, 7)
    assert max(len(line) for line in lines[1:-1]) <= max(width, 16)


def test_labels_never_steer_the_terminal():
    lines = drawn(Curve(party="a\x1b[2J", steps=[1], values=[1.0]), name="\x1b]0;x\x07")
    assert not any("\x1b" in line or "\x07" in line for line in lines)


def test_each_curve_has_a_colour_of_its_own():
    pair = [Curve(party=p, steps=[1, 2], values=[v, v + 1]) for p, v in (("a", 0.0), ("b", 9.0))]
    lines = plot("loss", pair, width=40, height=10)
    assert {colour for line in lines[1:-2] for _, colour in line} == {"", "cyan", "yellow"}


def test_a_picture_is_written_with_whatever_names_there_are(tmp_path):
    named = {"$x^{": [Curve(party="_a$", steps=[1, 2], values=[1.0, 2.0])], "b": []}
    named["b"].append(Curve(party="\x1b[2J", steps=[1], values=[1.0]))
    png.write(tmp_path / "out.png", named, title="$\\frac")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(CommandFailed, match="can't be written"):
        png.write(tmp_path / "none" / "out.png", named, title="x")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    # What import does where a module is known to be missing.
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(CommandFailed, match=r"install fedflow\[plots\]"):
        png.write(tmp_path / "x.png", {"a": [Curve(party="a")]}, title="x")
