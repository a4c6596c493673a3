"""How unlike anything simulated some data are."""

from sqwirrel.learn.strange.components import Components
from sqwirrel.learn.strange.denoiser import Denoiser
from sqwirrel.learn.strange.familiar import Familiar, auroc
from sqwirrel.learn.strange.gaps import Gaps
from sqwirrel.learn.strange.jury import Jury, Opinion
from sqwirrel.learn.strange.rivals import like_any

__all__ = ["Components", "Denoiser", "Familiar", "Gaps", "Jury", "Opinion", "auroc", "like_any"]
