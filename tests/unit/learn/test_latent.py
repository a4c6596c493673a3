"""Autoencoders of powder maps: masks, weights, schedules, heads."""

import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.learn.latent.adapt import HiddenBins, adapted
from sqwirrel.learn.latent.gap import gap, information
from sqwirrel.learn.latent.heads import Told, as_image, posterior, regressor
from sqwirrel.learn.latent.maps import Maps, Wear, always, evened, image
from sqwirrel.learn.latent.vae import NARROWEST, VAE, Schedule, divergence, missed
from sqwirrel.learn.train import Effort, train
from sqwirrel.seeds import stream

SHAPE = (21, 17)
VALID = torch.rand(SHAPE, generator=stream(0, "valid")) > 0.3
KINDS = ("dense", "convolutional")


def maps(rows=64, wear=None):
    z = torch.rand(rows, 2, generator=stream(1, "z")) * 2 - 1
    x, y = torch.linspace(-1, 1, SHAPE[0])[:, None], torch.linspace(-1, 1, SHAPE[1])
    level = torch.exp(-8 * ((x - z[:, :1, None]) ** 2 + (y - z[:, 1:, None]) ** 2))
    return Maps(level, z, always(VALID), wear or Wear())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.0, 1e-4])
def test_what_is_in_bins_that_were_not_measured_changes_nothing(kind, beta):
    vae = VAE(SHAPE, kind, latent=4, schedule=Schedule(beta))
    batch = maps().batch(8, 0, "some")
    wild = torch.where(VALID, batch.x, torch.tensor([1e6, torch.nan, 0.0])[:, None, None])
    assert torch.equal(vae.latents(wild), vae.latents(batch.x))
    with torch.no_grad():
        assert torch.equal(
            vae.loss("", batch._replace(x=wild, clean=wild)), vae.loss("", batch._replace(clean=batch.x))
        )


@pytest.mark.parametrize("kind", KINDS)
def test_made_bins_that_were_not_measured_have_no_gradient(kind):
    made = VAE(SHAPE, kind, latent=4).decode(torch.randn(3, 4, generator=stream(0, "l")))
    assert made.shape == (3, *SHAPE)
    made = made.detach().requires_grad_()
    missed(made, image(torch.ones(3, *SHAPE), VALID.expand(3, -1, -1))).backward()
    assert bool((made.grad[:, ~VALID] == 0).all())
    assert bool((made.grad[:, VALID] != 0).all())


def test_the_divergence_is_that_of_two_normal_laws():
    mean, log_variance = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.5, -2.0]])
    laws = torch.distributions.Normal(mean, (log_variance / 2).exp())
    exact = torch.distributions.kl_divergence(laws, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(divergence(mean, log_variance), exact)


def test_the_weight_rises_to_beta_and_stays():
    schedule = Schedule(0.5, 10)
    assert [schedule.at(step) for step in (0, 5, 10, 99)] == [0.0, 0.25, 0.5, 0.5]
    assert Schedule(0.5, 0).at(0) == 0.5
    with pytest.raises(InputError, match="beta and warm"):
        Schedule(-1.0)


def test_only_steps_with_a_gradient_count_for_the_schedule():
    vae, batch = VAE(SHAPE, latent=4, schedule=Schedule(0.1, 10)), maps().batch(4, 0, "some")
    with torch.no_grad():
        held = vae.loss("", batch)
        assert vae.loss("", batch) == held
    assert int(vae.steps) == 0
    losses = [float(vae.loss("", batch).detach()) for _ in range(11)]
    assert int(vae.steps) == 11
    with torch.no_grad():
        weighed = 0.1 * float(divergence(*vae.encode(batch.x)).mean())
    assert losses[-1] - losses[0] == pytest.approx(weighed, rel=0.1)
    assert float(held) == pytest.approx(losses[-1], rel=0.1)


def test_without_beta_it_is_a_plain_autoencoder():
    vae, batch = VAE(SHAPE, latent=4, schedule=Schedule(0.0)), maps().batch(4, 0, "some")
    mean, log_variance = vae.encode(batch.x)
    assert bool((log_variance == NARROWEST).all())
    assert vae.loss("", batch) == missed(vae.decode(mean), batch.clean)
    assert sum(1 for _ in vae.encoder.parameters()) == sum(1 for _ in VAE(SHAPE, latent=4).encoder.parameters())


def test_an_unknown_body_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="choose dense or convolutional"):
        VAE(SHAPE, "transformer")


def test_maps_in_their_own_units_have_mean_zero_and_range_one():
    even = evened(5 + 3 * torch.rand(6, *SHAPE, generator=stream(0, "x")), VALID.expand(6, -1, -1))
    inside = even.level[:, VALID]
    assert torch.allclose(inside.mean(1), torch.zeros(6), atol=1e-6)
    assert torch.allclose(inside.amax(1) - inside.amin(1), torch.ones(6))
    assert bool((even.level[:, ~VALID] == 0).all())


def test_both_images_of_a_batch_are_in_the_units_of_the_noisy_one():
    batch = maps(512, Wear(noise=0.1)).batch(512, 0, "some")
    away = (batch.x - batch.clean)[:, 0, VALID]
    assert float(away.mean(1).abs().max()) < 0.02
    assert 0.02 < float(away.std()) < 0.1
    same = maps(512).batch(8, 0, "some")
    assert torch.equal(same.x, same.clean)


def test_heads_learn_from_latents_what_the_parameters_are():
    vae, known = VAE(SHAPE, "dense", latent=6, schedule=Schedule(1e-5, 20)), maps(400)
    before = float(vae.loss("", known.batch(64, 5, "judge")).detach())
    train(vae, known, Effort(steps=150, batch=32, every=50))
    assert float(vae.loss("", known.batch(64, 5, "judge")).detach()) < 0.5 * before
    told = Told.of(vae, known, copies=2)
    assert len(told) == 800
    assert len(told.split(3)[1]) == 4
    head = regressor(told)
    train(head, told, Effort(steps=300, batch=64, every=100))
    with torch.no_grad():
        assert float((head(told.x) - told.z).square().mean()) < 0.1 * float(told.z.var())
    flow = posterior(told, like=head)
    assert torch.equal(flow.features(told.x[:5]), head.embed(told.x[:5]).detach())
    drawn = flow.sample(as_image(vae.latents(known.batch(3, 0, "s").x)), 7, seed=1)
    assert drawn.shape == (3, 7, 2)


def test_the_gap_is_one_where_latents_are_parameters_and_none_where_all_know_alike():
    theta = torch.rand(2000, 3, generator=stream(2, "theta")).double()
    noise = torch.rand(2000, 4, generator=stream(3, "noise")).double()
    own = torch.cat((noise, torch.exp(-theta)), 1)
    assert float(gap(own, theta).min()) > 0.95
    assert float(gap(noise, theta).max()) < 0.05
    twice = torch.cat((noise, theta, -theta), 1)
    assert float(gap(twice, theta).max()) < 1e-9
    mixed = (theta[:, :2] @ torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double()) / 2**0.5
    assert float(gap(mixed, theta[:, :2]).max()) < 0.05


def test_information_of_correlated_normal_numbers_is_the_closed_form():
    x = torch.randn(50_000, 2, generator=stream(4, "x")).double()
    y = 0.8 * x[:, :1] + 0.6 * x[:, 1:]
    assert float(information(x[:, :1], y, bins=40)) == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.02)
    assert float(information(x[:, 1:], x[:, :1])) < 2e-3
    assert float(information(torch.ones(100, 1), x[:100])[0, 0]) == 0


def test_an_adapted_encoder_makes_hidden_bins_better_and_leaves_the_decoder():
    vae, known = VAE(SHAPE, "dense", latent=6, schedule=Schedule(1e-6, 20)), maps(300)
    train(vae, known, Effort(steps=150, batch=32, every=50))
    tilt = torch.linspace(0, 0.3, SHAPE[1])
    even = evened(known.level[:2] + tilt, VALID.expand(2, -1, -1))
    seen = image(even.level, VALID.expand(2, -1, -1))
    source = HiddenBins(seen, seen[:0], torch.zeros(0, 6))
    batch, judged = source.batch(4, 0, "some"), source.split(1)[1].every(stream(0, ""))
    assert not bool(((batch.x[:, 2] > 0) & (batch.clean[:, 2] > 0)).any())
    assert not bool((batch.clean[:, 2].amax(0) * source.never.float().amin(0)).any())
    vae.requires_grad_(requires_grad=False)
    new, history = adapted(vae, seen, Effort(steps=60, batch=8, every=10))
    before = float(missed(vae.made(judged.x), judged.clean))
    assert min(history.losses) < 0.7 * before
    kept, moved = (each.state_dict() for each in (vae, new))
    assert all(torch.equal(kept[name], moved[name]) for name in kept if name.startswith("decoder"))
    assert not all(torch.equal(kept[name], moved[name]) for name in kept if name.startswith("encoder"))


def test_latents_of_known_maps_stay_while_an_encoder_adapts():
    vae, known = VAE(SHAPE, "dense", latent=6, schedule=Schedule(1e-6, 20)), maps(300)
    train(vae, known, Effort(steps=150, batch=32, every=50))
    even = evened(known.level[:2] + torch.linspace(0, 0.3, SHAPE[1]), VALID.expand(2, -1, -1))
    seen, simulated = image(even.level, VALID.expand(2, -1, -1)), known.part(slice(2, None)).every(stream(0, "all")).x
    effort, before = Effort(steps=60, batch=16, every=10), vae.latents(simulated)
    moved = []
    for stays in (None, simulated[:200]):
        new, _ = adapted(vae, seen, effort, known=stays)
        moved.append(float(((new.latents(simulated[200:]) - before[200:]) / before.std(0)).square().mean().sqrt()))
    assert moved[1] < 0.5 * moved[0]
