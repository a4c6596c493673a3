"""Why a network says what it says: maps of a decision, what filters answer to, charts, and whether to trust them."""

from sqwirrel.explain.networks.atlas import Atlas, Chart, atlas, features_of
from sqwirrel.explain.networks.attribution import METHODS, Contrast, attribution
from sqwirrel.explain.networks.features import (
    Ascent,
    Health,
    Unit,
    activations,
    as_image,
    components,
    first_filters,
    from_mean,
    health,
    maximised,
    most_active,
)
from sqwirrel.explain.networks.places import tiles, untrained
from sqwirrel.explain.networks.spoken import Heard, heard
from sqwirrel.explain.networks.trust import (
    Curve,
    Mislabelled,
    by_chance,
    deletion,
    insertion,
    kinship,
    rank_correlation,
    tile_sums,
    top_overlap,
)

__all__ = [
    "METHODS",
    "Ascent",
    "Atlas",
    "Chart",
    "Contrast",
    "Curve",
    "Health",
    "Heard",
    "Mislabelled",
    "Unit",
    "activations",
    "as_image",
    "atlas",
    "attribution",
    "by_chance",
    "components",
    "deletion",
    "features_of",
    "first_filters",
    "from_mean",
    "health",
    "heard",
    "insertion",
    "kinship",
    "maximised",
    "most_active",
    "rank_correlation",
    "tile_sums",
    "tiles",
    "top_overlap",
    "untrained",
]
