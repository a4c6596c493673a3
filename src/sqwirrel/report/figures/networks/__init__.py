"""Pictures of what a network decides by, on the axes of the data."""

from sqwirrel.report.figures.networks.charts import atlas_map, chart
from sqwirrel.report.figures.networks.decision import attribution_map, attribution_maps, exchange_curves
from sqwirrel.report.figures.networks.filters import activation_sheet, filter_sheet, health_figure, image_sheet
from sqwirrel.report.figures.networks.latents import traversal_sheet
from sqwirrel.report.figures.networks.sheet import sheet

__all__ = [
    "activation_sheet",
    "atlas_map",
    "attribution_map",
    "attribution_maps",
    "chart",
    "exchange_curves",
    "filter_sheet",
    "health_figure",
    "image_sheet",
    "sheet",
    "traversal_sheet",
]
