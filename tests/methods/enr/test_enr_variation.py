"""Varied pairs are pairs that other objects would give."""

import torch

from sightline.methods.enr.motion import move
from sightline.methods.enr.pairs import PairBatch
from sightline.methods.enr.variation import mirrored, vary


def make_batch(pairs: int = 40) -> PairBatch:
    generator = torch.Generator().manual_seed(2)
    turns = torch.linalg.qr(torch.randn(2 * pairs, 3, 3, generator=generator)).Q
    shifts = 0.3 * torch.randn(2 * pairs, 3, 1, generator=generator)
    pictures = torch.rand(2 * pairs, 3, 6, 6, generator=generator)
    return PairBatch(pictures, torch.cat([turns, shifts], 2))


def test_a_mirrored_volume_moves_as_a_mirrored_camera():
    motions = make_batch(2).motions
    volumes = torch.rand(4, 3, 5, 5, 5, generator=torch.Generator().manual_seed(1))
    # The last axis of a volume goes to the right, as a picture's does.
    truth = move(volumes, motions).flip(-1)
    torch.testing.assert_close(move(volumes.flip(-1), mirrored(motions)), truth, rtol=0, atol=1e-5)


def test_pairs_are_mirrored_together_and_half_of_them():
    batch = make_batch()
    varied = vary(batch, torch.Generator().manual_seed(0), mirror=True)
    flipped = (varied.pictures == batch.pictures.flip(3)).flatten(1).all(1)
    kept = (varied.pictures == batch.pictures).flatten(1).all(1)
    assert bool((flipped ^ kept).all())
    assert 10 < int(flipped[::2].sum()) < 30
    assert torch.equal(flipped[::2], flipped[1::2])
    assert torch.equal(varied.motions[kept], batch.motions[kept])
    assert torch.equal(varied.motions[flipped], mirrored(batch.motions[flipped]))


def test_colours_of_a_pair_are_exchanged_alike():
    batch = make_batch()
    varied = vary(batch, torch.Generator().manual_seed(0), permute_colours=True)
    assert torch.equal(varied.motions, batch.motions)
    orders = set()
    for pair in range(40):
        mine, given = varied.pictures[2 * pair : 2 * pair + 2], batch.pictures[2 * pair : 2 * pair + 2]
        order = tuple(
            next(k for k in range(3) if torch.equal(mine[:, channel], given[:, k])) for channel in range(3)
        )
        orders.add(order)
    assert len(orders) == 6


def test_colours_of_a_pair_are_bent_alike():
    batch = make_batch()
    varied = vary(batch, torch.Generator().manual_seed(0), bend_colours=0.7)
    assert torch.equal(varied.motions, batch.motions)
    powers = (varied.pictures.log() / batch.pictures.log()).view(40, 2, 3, 36)
    found = powers.mean((1, 3))
    torch.testing.assert_close(powers, found[:, None, :, None].expand_as(powers), rtol=1e-3, atol=1e-3)
    bends = found.log()
    assert float(bends.abs().max()) < 0.7
    assert float(bends.min()) < -0.6
    assert float(bends.max()) > 0.6
    ends = PairBatch(torch.ones(2, 3, 2, 2) * torch.tensor([0.0, 1.0]), batch.motions[:2])
    varied = vary(ends, torch.Generator().manual_seed(0), bend_colours=0.7)
    assert torch.equal(varied.pictures, ends.pictures)
