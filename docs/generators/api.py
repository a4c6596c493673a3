"""The API page: the public names of the package, then those of modules that are used by their own name."""

import inspect
from importlib import import_module

import sqwirrel

MODULES = (
    ("What was measured", "sqwirrel.spectra.pixels"),
    ("", "sqwirrel.spectra.readers.rotation"),
    ("What might be true", "sqwirrel.model.library"),
    ("", "sqwirrel.model.spin"),
    ("", "sqwirrel.model.phonon.library"),
    ("", "sqwirrel.model.crystal"),
    ("", "sqwirrel.model.files.mcif"),
    ("", "sqwirrel.model.files.exchange"),
    ("Which order, and how far linear theory holds", "sqwirrel.simulate.stability"),
    ("", "sqwirrel.simulate.classical.search"),
    ("", "sqwirrel.simulate.classical.luttinger_tisza"),
    ("", "sqwirrel.simulate.quantum.zero_point"),
    ("", "sqwirrel.simulate.quantum.two_magnon"),
    ("", "sqwirrel.simulate.quantum.mean_field"),
    ("What neutrons see", "sqwirrel.simulate.crosssection"),
    ("What an instrument spreads in momentum and energy", "sqwirrel.observe.covariance"),
    ("What a run is asked to do", "sqwirrel.config"),
    ("A map in the other of two domains", "sqwirrel.infer.matching"),
    ("What moves what", "sqwirrel.explain.causal.causal_map"),
    ("", "sqwirrel.explain.causal.system"),
    ("", "sqwirrel.explain.causal.predict.filters"),
    ("Causes in the measured spectrum", "sqwirrel.explain.causal.measured"),
    ("Why a network says what it says", "sqwirrel.explain.networks"),
    ("What a parameter acts through", "sqwirrel.explain.causal.paths"),
    ("Telling people", "sqwirrel.report.figures"),
    ("", "sqwirrel.report.figures.networks"),
    ("What a result came from", "sqwirrel.record"),
)


def names() -> list[tuple[str, str, list[str]]]:
    """Title, module and names."""
    own = [name for name in sqwirrel.__all__ if callable(getattr(sqwirrel, name))]
    return [("", "sqwirrel", own), *((title, module, _public(module)) for title, module in MODULES)]


def page() -> str:
    """autodoc directives for all of them."""
    lines = []
    for title, module, public in names():
        if title:
            lines += [f"## {title}", ""]
        lines += [f"### {module}", ""] if module != "sqwirrel" else []
        lines += [f"{summary(module)}", "", "```{eval-rst}"]
        for name in public:
            lines += [*_directive(module, name), ""]
        lines += ["```", ""]
    return "\n".join(lines)


def summary(module: str) -> str:
    """The first paragraph of a module."""
    return " ".join((inspect.getdoc(import_module(module)) or "").split("\n\n")[0].split())


def _public(module: str) -> list[str]:
    found = import_module(module)
    if hasattr(found, "__all__"):
        return [name for name in found.__all__ if callable(getattr(found, name))]
    return [name for name, value in vars(found).items() if _is_own(found, name, value)]


def _is_own(module: object, name: str, value: object) -> bool:
    return not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__


def _directive(module: str, name: str) -> list[str]:
    value = getattr(import_module(module), name)
    if inspect.isclass(value):
        return [f".. autoclass:: {module}.{name}", "   :members:"]
    return [f".. autofunction:: {module}.{name}"]
