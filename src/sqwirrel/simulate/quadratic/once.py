"""Results whose first derivatives are right and whose second derivatives are not: differentiating twice is refused."""

from typing import Any

import torch
from jaxtyping import Inexact
from torch import Tensor

from sqwirrel.errors import StateError

MESSAGE = (
    "modes can be differentiated once: their second derivatives are not known here; take finite differences of the "
    "first, and leave create_graph off"
)


def first_order(x: Inexact[Tensor, "*shape"]) -> Inexact[Tensor, "*shape"]:
    """The same values; a second derivative through them raises a `StateError`."""
    kinds = torch._C._functorch.TransformType
    levels = [level.key() for level in torch._C._functorch.get_interpreter_stack() or ()]
    if sum(key in {kinds.Grad, kinds.Jvp} for key in levels) > 1:
        raise StateError(MESSAGE)
    same: Tensor = _FirstOrder.apply(x)  # type: ignore[no-untyped-call]
    return same


class _FirstOrder(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(_: Any, grad: Tensor) -> Tensor:
        # torch.func differentiates with a graph always; what it nests was seen going forward
        if torch.is_grad_enabled() and not torch._C._functorch.get_interpreter_stack():
            raise StateError(MESSAGE)
        return grad

    @staticmethod
    def jvp(_: Any, tangent: Tensor) -> Tensor:
        return tangent.view_as(tangent)
