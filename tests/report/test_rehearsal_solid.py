"""The oblique picture of solids keeps left left and near near."""

import numpy as np

from kypho.report.rehearsal_solid import SolidView

SHAPE = (24, 24, 24)
RED, BLUE = "#ff0000", "#0000ff"


def block(k, j, i):
    mask = np.zeros(SHAPE, bool)
    mask[k, j, i] = True
    return mask


def reddest_column(image):
    red = image[..., 0] - image[..., 2]
    return float((red.clip(0).sum(axis=0) * np.arange(image.shape[1])).sum() / red.clip(0).sum())


def test_from_behind_the_patients_left_is_on_the_left():
    view = SolidView(np.zeros(SHAPE, bool), azimuth_deg=0, elevation_deg=0)
    left = view.picture([(block(slice(8, 16), slice(8, 16), slice(18, 23)), RED)])
    right = view.picture([(block(slice(8, 16), slice(8, 16), slice(1, 6)), RED)])
    assert reddest_column(left) < left.shape[1] / 2 < reddest_column(right)


def test_the_nearer_solid_hides_the_farther_and_the_head_is_up():
    view = SolidView(np.zeros(SHAPE, bool), azimuth_deg=0, elevation_deg=0)
    back = block(slice(14, 22), slice(18, 22), slice(8, 16))
    front = block(slice(14, 22), slice(2, 6), slice(8, 16))
    for order in ([(back, RED), (front, BLUE)], [(front, BLUE), (back, RED)]):
        image = view.picture(order)
        assert (image[..., 2] > image[..., 0] + 0.2).sum() == 0, "seen from behind, the back hides the front"
        rows = np.nonzero((image[..., 0] > image[..., 2] + 0.2).any(axis=1))[0]
        assert rows.mean() < image.shape[0] / 2


def test_bone_veils_what_is_inside_and_leaves_it_visible():
    ball = block(slice(4, 20), slice(4, 20), slice(4, 20))
    inside = block(slice(8, 16), slice(8, 16), slice(8, 16))
    bare = SolidView(np.zeros(SHAPE, bool)).picture([(inside, RED)])
    veiled = SolidView(ball).picture([(inside, RED)])
    redness = [float((image[..., 0] - image[..., 2]).max()) for image in (bare, veiled)]
    assert 0.2 < redness[1] < redness[0]
