"""Training `pixelnerf` on small collections."""

import torch
from pixelnerf_cases import ball_capture, balls, small_config

from sightline.methods.base import Progress
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.tracing import SampleCounts


def train(method: PixelNerf, steps: int, data=None) -> list[float]:
    prepared = method.prepare(data or balls())
    (optimisation,) = method.optimisers()
    batches = method.batches(prepared, torch.Generator().manual_seed(0))
    method.train()
    losses = []
    for step in range(steps):
        found = method(next(batches), Progress(step, step / steps))
        optimisation.optimiser.zero_grad()
        found["loss"].backward()
        optimisation.optimiser.step()
        method.after_step(Progress(step + 1, (step + 1) / steps))
        losses.append(found["loss"].item())
    return losses


def psnr(method: PixelNerf, number: int) -> float:
    capture = ball_capture(number)
    method.eval()
    scene = method.encode(capture.view(0))
    rgb = method.render(scene, capture.cameras[3]).rgb
    truth = torch.tensor(capture.images[3]) / 255
    return float(-10 * torch.log10((rgb - truth).square().mean()))


def test_it_learns_to_see_an_object_from_one_view():
    torch.manual_seed(0)
    method = PixelNerf(small_config(objects=3, rays=128, target_views=2, source_counts=(1,)))
    losses = train(method, 250)
    assert sum(losses[-20:]) < 0.35 * sum(losses[:20])
    scores = [psnr(method, number) for number in range(3)]
    assert min(scores) > 14
    # What it sees is the source's object, not the mean of all.
    capture = ball_capture(2)
    wrong = method.encode(ball_capture(0).view(0))
    rgb = method.render(wrong, capture.cameras[3]).rgb
    truth = torch.tensor(capture.images[3]) / 255
    assert float(-10 * torch.log10((rgb - truth).square().mean())) < scores[2] - 2


def test_a_single_scene_can_be_learnt():
    torch.manual_seed(0)
    losses = train(PixelNerf(small_config(objects=1)), 3, ball_capture(0))
    assert all(value > 0 for value in losses)


def test_without_a_fine_pass_and_without_an_encoder():
    torch.manual_seed(0)
    config = small_config(fine_samples=0, depth_samples=0, coarse_weight=0.5, use_encoder=False)
    method = PixelNerf(config)
    assert not any(value.requires_grad for value in method.network.mlp_fine.parameters())
    batch = next(method.batches(method.prepare(balls()), torch.Generator().manual_seed(0)))
    torch.manual_seed(1)
    losses = method(batch, Progress(0, 0.0))
    psnr_loss = 10 ** (-float(losses["psnr"]) / 10)
    torch.testing.assert_close(float(losses["loss"]), 0.5 * psnr_loss, rtol=1e-5, atol=0)
    assert losses["samples"] == 2 * 64 * 16


def test_a_global_feature_and_spade_take_part():
    torch.manual_seed(0)
    method = PixelNerf(small_config(global_width=24, spade=True, softplus=10.0, combination="max"))
    batch = next(method.batches(method.prepare(balls()), torch.Generator().manual_seed(0)))
    with torch.no_grad():
        # Layers that begin at zero would hide what comes before them.
        for block in method.network.mlp_coarse.blocks:
            block.fc_1.weight.normal_(std=0.1)
    losses = method(batch, Progress(0, 0.0))
    losses["loss"].backward()
    assert method.network.mlp_coarse.lin_in.in_features == 3 * 7 + 3
    assert method.network.mlp_coarse.features == 64 + 64 + 24
    for name in ("global_encoder.fc.weight", "mlp_coarse.scale_z.0.weight", "encoder.model.conv1.weight"):
        gradient = method.network.get_parameter(name).grad
        assert gradient is not None
        assert float(gradient.abs().max()) > 0, name


def test_numbers_of_samples_follow_the_schedule():
    config = small_config(schedule_at=(2, 4), schedule_coarse=(20, 24), schedule_fine=(10, 2))
    assert SampleCounts.at(config, 1) == SampleCounts(16, 8, 4)
    assert SampleCounts.at(config, 2) == SampleCounts(20, 10, 4)
    assert SampleCounts.at(config, 9) == SampleCounts(24, 2, 2)
    torch.manual_seed(0)
    method = PixelNerf(config)
    train(method, 2)
    assert method.counts == SampleCounts(20, 10, 4)
    assert int(method.state_dict()["schedule_count"]) == 2
    counted = PixelNerf(small_config(**{**config.__dict__, "schedule_objects": True}))
    train(counted, 1)
    assert counted.counts == SampleCounts(20, 10, 4)


def test_a_frozen_encoder_stays():
    torch.manual_seed(0)
    method = PixelNerf(small_config(freeze_encoder=True))
    before = {name: value.clone() for name, value in method.network.encoder.state_dict().items()}
    train(method, 2)
    after = method.network.encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
