"""The frame of polarised neutrons."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.simulate.crosssection import polarised
from tests.cases import tensor

S = torch.diag(tensor([1.0, 2, 4]))[None, None] + 0j


def test_axes_are_q_in_plane_and_normal():
    seen = polarised(S, tensor([[0, 3.0, 0]]), tensor([0, 0.2, 1]))  # x = b, z = c, y = -a
    assert seen.flip[0, 0].tolist() == [5, 4, 1]
    assert seen.non_flip[0, 0].tolist() == [0, 1, 4]


@pytest.mark.parametrize("wave", [[0.0, 0, 0], [0, 0, 2.0]])
def test_no_frame_without_q_or_along_the_normal(wave):
    with pytest.raises(InputError, match="not zero and not along the normal"):
        polarised(S, tensor([wave]), tensor([0, 0, 1.0]))
