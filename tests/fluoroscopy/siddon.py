"""The slow reference: Siddon's algorithm written for reading, one ray at a time, in double precision."""

import numpy as np


def siddon(mu, grid, start_mm, end_mm):
    """The line integral of mu, voxels [k, j, i], along the segment between two LPS points."""
    start, end = grid.to_index(start_mm) + 0.5, grid.to_index(end_mm) + 0.5
    cuts = [np.array([0.0, 1.0])]
    for axis in range(3):
        if start[axis] != end[axis]:
            planes = np.arange(grid.shape[axis] + 1)
            cuts.append((planes - start[axis]) / (end[axis] - start[axis]))
    along = np.unique(np.clip(np.concatenate(cuts), 0, 1))
    middle = (along[1:] + along[:-1]) / 2
    voxel = np.floor(start + middle[:, None] * (end - start)).astype(int)
    inside = np.all((voxel >= 0) & (voxel < grid.shape), axis=1)
    length = np.diff(along) * np.linalg.norm(np.asarray(end_mm) - np.asarray(start_mm))
    return float(np.sum(length[inside] * mu[tuple(voxel[inside].T)]))


def siddon_image(mu, grid, carm):
    pixels = np.stack(np.meshgrid(*map(np.arange, carm.shape), indexing="ij"), axis=-1)
    ends = carm.pixel_centre_mm(pixels)
    image = [siddon(mu, grid, carm.source_mm, end) for end in ends.reshape(-1, 3)]
    return np.reshape(image, carm.shape)
