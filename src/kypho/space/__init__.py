"""Where things are: grids, volumes, frames and resampling.

World is DICOM LPS in millimetres (x to the patient's Left, y Posterior, z Superior). Arrays are
``[k, j, i]`` (slice, row, column) and voxel centres sit at integer index. Points are ``(..., 3)``
arrays in ``(L, P, S)`` order; indices are ``(..., 3)`` arrays in ``(k, j, i)`` order.
"""

from kypho.space.frames import Frame, rotation_about, unit
from kypho.space.grid import Grid, Volume
from kypho.space.resample import itk_image, resample, sample_at

__all__ = ["Frame", "Grid", "Volume", "itk_image", "resample", "rotation_about", "sample_at", "unit"]
