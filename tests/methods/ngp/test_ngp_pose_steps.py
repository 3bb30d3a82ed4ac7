"""Steps of poses: gradients of turned rays, Gauss and Newton's curvature, and where steps lead."""

import pytest
import torch

from sightline.geometry.corrections import rotation_matrices
from sightline.methods.ngp.pose_steps import PoseNewton, turned_rays

REACH = 3.0


def random_rays(count: int, photos: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    origins = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    directions = torch.nn.functional.normalize(
        torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    return origins, directions, torch.randint(photos, (count,), generator=generator)


def poses(photos: int, size: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    turns, shifts = size * torch.randn(2, photos, 3, generator=generator, dtype=torch.float64)
    curvature = torch.zeros(photos, 6, 6, dtype=torch.float64)
    return turns.requires_grad_(), shifts.clone().requires_grad_(), curvature.requires_grad_()


def test_rays_and_their_gradients_are_those_of_rotations() -> None:
    origins, directions, views = random_rays(40, 3)
    weights = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    turns, shifts, curvature = poses(3)
    found = turned_rays(turns, shifts, curvature, origins, directions, views, REACH, lambda: 1.0)
    (found[0] * weights[0] + found[1].square() * weights[1]).sum().backward()
    ours = turns.grad, shifts.grad
    turns, shifts, _ = poses(3)
    turned = (rotation_matrices(turns)[views] @ directions[:, :, None])[:, :, 0]
    moved = origins + shifts[views]
    torch.testing.assert_close(found, (moved, turned))
    (moved * weights[0] + turned.square() * weights[1]).sum().backward()
    torch.testing.assert_close(ours, (turns.grad, shifts.grad))


def colours(origins: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """A field whose three channels change independently of each other."""
    generator = torch.Generator().manual_seed(7)
    mix = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    return torch.sin(origins @ mix[0] + 2 * directions @ mix[1])


def test_the_curvature_is_that_of_gauss_and_newton() -> None:
    origins, directions, views = random_rays(60_000, 2)
    noise = 0.1 * torch.randn(60_000, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    truth = colours(origins, directions)
    turns, shifts, curvature = poses(2)
    error = noise.square().mean()
    moved, turned = turned_rays(
        turns, shifts, curvature, origins, directions, views, REACH, lambda: float(error)
    )
    (colours(moved, turned) - truth - noise).square().mean().backward()

    def residuals(pose: torch.Tensor) -> torch.Tensor:
        rotation = rotation_matrices(pose[None, :3])[0]
        chosen = views == 0
        own = colours(origins[chosen] + REACH * pose[3:], directions[chosen] @ rotation.T)
        return own.reshape(-1)

    motions = 1e-5 * torch.eye(6, dtype=torch.float64)
    jacobian = torch.stack([(residuals(m) - residuals(-m)) / 2e-5 for m in motions], -1)
    expected = 2 * jacobian.T @ jacobian / noise.numel()
    assert curvature.grad is not None
    torch.testing.assert_close(curvature.grad[0], expected, rtol=0.1, atol=0.02 * float(expected.max()))


def descend(pull: float, steps: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Find poses that noisy rays of two of three photos show; gives errors of turns and shifts."""
    origins, directions, views = random_rays(3000, 2)
    generator = torch.Generator().manual_seed(9)
    true_turns, true_shifts = 0.02 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    rotation = rotation_matrices(true_turns)[views]
    truth = colours(origins + true_shifts[views], (rotation @ directions[:, :, None])[:, :, 0])
    truth += 0.02 * torch.randn(3000, 3, generator=generator, dtype=torch.float64)
    turns, shifts, curvature = poses(3)
    newton = PoseNewton(turns, shifts, curvature, lr=1.0, reach=REACH, pull=pull)
    errors = [1.0]
    for _ in range(steps):
        moved = turned_rays(turns, shifts, curvature, origins, directions, views, REACH, lambda: errors[-1])
        loss = (colours(*moved) - truth).square().mean()
        errors.append(float(loss.detach()))
        loss.backward()
        newton.step()
        assert float(curvature.grad.abs().max()) == 0
    return (turns - true_turns).detach(), (shifts - true_shifts).detach()


def test_steps_lead_to_what_the_rays_show_and_leave_unseen_photos_alone() -> None:
    turns, shifts = descend(pull=0.0)
    assert float(turns[:2].abs().max()) < 5e-3
    assert float(shifts[:2].abs().max()) < 5e-3
    _, _, views = random_rays(3000, 2)
    assert not bool((views == 2).any())
    pulled, _ = descend(pull=3.0)
    assert float(pulled[:2].norm()) > 3 * float(turns[:2].norm())
    # The third photo has no ray: it stays where it was, at zero, as far from the truth as that is.
    torch.testing.assert_close(turns[2], pulled[2])


def test_a_photo_waits_until_it_is_known_and_moves_by_little() -> None:
    turns, shifts, curvature = poses(1)
    newton = PoseNewton(turns, shifts, curvature, lr=1.0, reach=REACH, pull=0.0)
    moved = []
    for _ in range(12):
        curvature.grad = torch.eye(6, dtype=torch.float64)[None].clone()
        turns.grad, shifts.grad = torch.ones_like(turns), torch.zeros_like(shifts)
        newton.step()
        moved.append(float(turns.detach().norm()))
    assert moved[:8] == [0.0] * 8
    assert moved[8] == pytest.approx(3e-3)
    assert moved[11] == pytest.approx(12e-3)
