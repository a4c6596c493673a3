"""sensitivity(): where a parameter can be seen at all."""

from jaxtyping import Float
from torch import Tensor

from sqwirrel.observe import Experiment


def sensitivity(
    experiment: Experiment, theta: Float[Tensor, "1 parameter"]
) -> dict[str, Float[Tensor, "point energy"]]:
    """Derivative of the expected intensity in every bin, intensity per unit of each parameter, exact."""
    slope = experiment.linearise(theta).slope[0]
    return dict(zip(experiment.names, slope.unbind(), strict=True))
