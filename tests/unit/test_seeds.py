import torch

from sqwirrel.seeds import stream


def draw(seed, label):
    return torch.rand(4, generator=stream(seed, label))


def test_a_stream_repeats():
    assert torch.equal(draw(1, "noise"), draw(1, "noise"))


def test_streams_differ_by_seed_and_by_label():
    draws = torch.stack([draw(1, "noise"), draw(2, "noise"), draw(1, "prior"), draw(11, ""), draw(1, "1/")])
    assert len(draws.unique(dim=0)) == len(draws)


def test_a_stream_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    draw(1, "noise")
    assert torch.equal(before, torch.get_rng_state())
