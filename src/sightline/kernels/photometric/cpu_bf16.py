"""A photometric step in Numba whose networks multiply in bfloat16."""

from sightline.kernels.compiling import kernel
from sightline.kernels.photometric.stages import make_signature, run_part


@kernel(make_signature("uint32"))
def step(
    rays, grid, march, sampling, table, levels, density, colour, limits, scale, work, points, kept_points,
    sigmas, to_density, to_colour, counts, facts, first, last,
):  # fmt: skip
    """One part of a step, see `run_part`."""
    run_part(
        rays, grid, march, sampling, table, levels, density, colour, limits, scale, work, points, kept_points,
        sigmas, to_density, to_colour, counts, facts, first, last,
    )  # fmt: skip
