"""Term: what a posterior asks of each set of data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from sqwirrel.observe.experiment import Anchored
from sqwirrel.observe.joint import Part

Same = TypeVar("Same", bound="Exact")


class TermSlope(NamedTuple):
    """Deviance (inf where unstable), gradient of the log likelihood, and Fisher information, in own parameters."""

    deviance: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch own"]
    information: Float[Tensor, "batch own own"]


@runtime_checkable
class Term(Protocol):
    """Data with the experiment that predicts them. Rows of `theta` are its own parameters, in the order of `names`,
    which says what they are called among those of all terms; `label` tells terms apart, empty if there is one.
    """

    @property
    def experiment(self) -> Part:
        """What predicts the data."""

    @property
    def names(self) -> tuple[str, ...]:
        """Own parameters, as all terms call them."""

    @property
    def label(self) -> str:
        """What to call the data."""

    @property
    def average(self) -> Anchored | None:
        """The average over |Q| and direction that predicts them, once it is anchored."""

    @property
    def assumed(self) -> tuple[str, ...]:
        """Parameters that the prior is expected to decide."""

    @property
    def size(self) -> int:
        """Number of data."""

    @property
    def log_normalisation(self) -> float:
        """log L where the deviance is 0."""

    def deviance(self, theta: Float[Tensor, "batch own"]) -> Float[Tensor, " batch"]:
        """-2 log L + const; inf where the order is unstable."""

    def slope(self, theta: Float[Tensor, "batch own"]) -> TermSlope:
        """Deviance with exact derivatives of the log likelihood."""

    def profiled(
        self, theta: Float[Tensor, "batch own"], solve: Mapping[str, tuple[float, float]]
    ) -> tuple[Float[Tensor, "batch own"], Float[Tensor, " batch"]]:
        """The rows with the linear nuisances among `solve` at their best between these bounds, and the deviance."""

    def anchored(self, theta: Float[Tensor, "1 own"], spread: Float[Tensor, " own"], more: int = 1) -> "Term":
        """The same with an average round `theta` of `more` times the points, and the variances that data have there."""

    def reweighed(self, theta: Float[Tensor, "1 own"]) -> "Term":
        """The same with the variances that the data have if `theta` is right."""

    def push(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "repeat own"]:
        """How the gradient at `theta` moves in repetitions of the average and of its derivatives."""


class Exact(ABC):
    """A term for which nothing is averaged and no nuisance is linear, and whose errors are what they are."""

    average = None

    @abstractmethod
    def deviance(self, theta: Float[Tensor, "batch own"]) -> Float[Tensor, " batch"]:
        """-2 log L + const; inf where the order is unstable."""

    def profiled(
        self,
        theta: Float[Tensor, "batch own"],
        solve: Mapping[str, tuple[float, float]],  # noqa: ARG002
    ) -> tuple[Float[Tensor, "batch own"], Float[Tensor, " batch"]]:
        """The rows as they are, and the deviance."""
        return theta, self.deviance(theta)

    def anchored(
        self: Same,
        theta: Float[Tensor, "1 own"],  # noqa: ARG002
        spread: Float[Tensor, " own"],  # noqa: ARG002
        more: int = 1,  # noqa: ARG002
    ) -> Same:
        """The same."""
        return self

    def reweighed(self: Same, theta: Float[Tensor, "1 own"]) -> Same:  # noqa: ARG002
        """The same."""
        return self

    def push(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "repeat own"]:
        """Nothing: there are no repetitions."""
        return theta[:0]
