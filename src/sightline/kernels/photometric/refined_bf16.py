"""A photometric step with gradients to photos' colours and to rays, whose networks multiply in bfloat16.

Apart from `cpu_bf16.py`, so that only who refines compiles it.
"""

from sightline.kernels.compiling import kernel
from sightline.kernels.photometric.refining import REFINED
from sightline.kernels.photometric.stages import make_signature, run_part


@kernel(make_signature("uint32", REFINED))
def step(
    rays, grid, march, sampling, table, levels, density, colour, limits, scale, work, points, kept_points,
    sigmas, to_density, to_colour, counts, facts, first, last, refined,
):  # fmt: skip
    """One part of a step, see `run_part`."""
    run_part(
        rays, grid, march, sampling, table, levels, density, colour, limits, scale, work, points, kept_points,
        sigmas, to_density, to_colour, counts, facts, first, last, refined,
    )  # fmt: skip
