"""Drawn frames: lines where the pose puts them, letters on the right edges, nothing over anything."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from kypho.errors import SettingsError
from kypho.fluoroscopy import (
    KINDS,
    PARTS,
    CArm,
    Overlay,
    draw_view,
    edge_letters,
    en_face,
    true_ap,
    true_lateral,
)
from kypho.space import Frame, rotation_about

UPRIGHT = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
LINE = np.array([[20.0, 40, 10], [0, -15, 0]])


@pytest.fixture
def ax():
    figure, axes = plt.subplots(figsize=(3.2, 3.7), dpi=100)
    yield axes
    plt.close(figure)


def film(carm):
    return np.full(carm.shape, 0.5, dtype=np.float32)


def drawn(ax):
    """Everything a part can add to the axes."""
    legend = ax.get_legend()
    return len(ax.lines), [text.get_text() for text in ax.texts], legend is not None


@pytest.mark.parametrize("kind", KINDS)
def test_an_overlay_is_drawn_where_the_pose_projects_it(ax, kind):
    carm = CArm.from_angles([0, 0, 0], -20, 10)
    draw_view(ax, film(carm), carm, [Overlay(kind=kind, points_lps=LINE)], show={kind})
    assert len(ax.lines) == 1
    assert ax.lines[0].get_xydata() == pytest.approx(carm.project(LINE)[:, ::-1])


def test_the_picture_has_pixel_centres_at_integers_like_the_overlays(ax):
    carm = CArm.from_angles([0, 0, 0], 0, 0, shape=(100, 120))
    draw_view(ax, film(carm), carm)
    assert ax.images[0].get_extent() == [-0.5, 119.5, 99.5, -0.5]
    assert ax.get_ylim() == (99.5, -0.5)


def test_rings_close_and_tips_get_a_dot(ax):
    carm = true_ap(UPRIGHT)
    ring = Overlay(kind="pedicle_ring", points_lps=[[5, 0, 0], [8, 0, 4], [11, 0, 0]], closed=True)
    needle = Overlay(kind="needle", points_lps=LINE, tip=True)
    draw_view(ax, film(carm), carm, [ring, needle], show={"pedicle_ring", "needle"})
    assert len(ax.lines[0].get_xydata()) == 4
    assert ax.lines[2].get_xydata() == pytest.approx(carm.project(LINE[1:])[:, ::-1])


@pytest.mark.parametrize("part", sorted(PARTS))
def test_every_part_can_be_switched_off_alone(part):
    carm = true_ap(UPRIGHT)
    overlays = [Overlay(kind=kind, points_lps=LINE, label=kind) for kind in KINDS]
    shown = []
    for show in (PARTS, PARTS - {part}):
        figure, ax = plt.subplots()
        draw_view(ax, film(carm), carm, overlays, title="True AP", lines=["step"], show=show)
        shown.append((drawn(ax), len(ax.texts)))
        plt.close(figure)
    assert shown[0] != shown[1]


def test_nothing_is_shown_when_everything_is_off(ax):
    carm = true_ap(UPRIGHT)
    draw_view(ax, film(carm), carm, [Overlay(kind="needle", points_lps=LINE)], title="x", show=())
    assert drawn(ax) == (0, [], False)


def test_letters_name_the_patients_sides():
    assert edge_letters(true_ap(UPRIGHT)) == {"left": "R", "right": "L", "top": "H", "bottom": "F"}
    assert edge_letters(true_lateral(UPRIGHT)) == {"left": "A", "right": "P", "top": "H", "bottom": "F"}
    assert edge_letters(true_lateral(UPRIGHT, side="right"))["left"] == "P"
    from_behind = CArm.looking_along([0, 0, 0], [0, -1, 0])
    assert edge_letters(from_behind)["left"] == "L"


def test_a_slanting_edge_has_no_letter():
    assert edge_letters(CArm.from_angles([0, 0, 0], 45, 0)) == {"top": "H", "bottom": "F"}
    assert edge_letters(CArm.from_angles([0, 0, 0], 0, 45)) == {"left": "R", "right": "L"}


def test_caption_gives_view_angles_and_lines(ax):
    carm = en_face(UPRIGHT, LINE[0], LINE[1])
    draw_view(ax, film(carm), carm, title="En face, left", lines=["depth 41 mm"], show={"caption"})
    caption = ["En face, left", "RAO 20.0°, CAU 9.7°", "depth 41 mm", "simulated from CT"]
    assert ax.texts[0].get_text().splitlines() == caption


def test_overlays_of_one_name_share_a_legend_entry(ax):
    carm = true_ap(UPRIGHT)
    rings = [
        Overlay(kind="pedicle_ring", points_lps=LINE + shift, label="pedicle", closed=True)
        for shift in (0, 5)
    ]
    draw_view(ax, film(carm), carm, [*rings, Overlay(kind="midline", points_lps=LINE)])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["pedicle"]


@pytest.mark.parametrize("view", [true_ap, true_lateral])
def test_no_text_lies_over_another(ax, view):
    """In a panel of 3.2 inches with a full caption and legend, by the boxes matplotlib itself measures."""
    carm = view(Frame(origin_mm=np.zeros(3), rotation=rotation_about([0, 0, 1], 8.0)))
    overlays = [Overlay(kind=kind, points_lps=LINE, label=kind.replace("_", " ")) for kind in KINDS]
    lines = ["Step 3 of 4: posterior wall", "Depth from skin 63.5 mm", "Not for clinical use"]
    draw_view(ax, film(carm), carm, overlays, title="En face, left needle", lines=lines)
    ax.figure.tight_layout()
    ax.figure.canvas.draw()
    texts = [*ax.texts, *ax.get_legend().get_texts()]
    boxes = [text.get_window_extent() for text in texts]
    for (one, a), (other, b) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())
    page = ax.figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 for box in boxes)


def test_unknown_names_are_refused(ax):
    carm = true_ap(UPRIGHT)
    with pytest.raises(SettingsError, match="'screw'"):
        Overlay(kind="screw", points_lps=LINE)
    with pytest.raises(SettingsError, match="'colour'"):
        draw_view(ax, film(carm), carm, show={"colour"})
