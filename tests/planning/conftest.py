import numpy as np
import pytest

from kypho.phantoms.spine import SolidSpine
from kypho.space import Frame

UPRIGHT = Frame(origin_mm=np.array([5.0, -7.0, 11.0]), rotation=np.eye(3))


@pytest.fixture(scope="session")
def a_solid_spine():
    """Upright, 1 mm voxels: CT and labels."""
    spine = SolidSpine(frame=UPRIGHT)
    return spine, *spine.draw(spine.grid((1.0, 1.0, 1.0)))
