"""Translators on disk: weights (safetensors) and, beside them, what they go between (JSON), and what is usual in their
domains (safetensors). No code runs on loading.
"""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.checkpoint import fill, json_in, put_weights, weights_in
from sqwirrel.learn.translate.inside import Inside, Matcher
from sqwirrel.learn.translate.networks import Shape
from sqwirrel.learn.translate.plan import Plan
from sqwirrel.learn.translate.rest import Rest
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.record import Record
from sqwirrel.whole import put_text

KNOWN, USUAL = "translator.json", "inside.safetensors"
TENSORS = ("shape", "conditions", "middle", "turn", "features", "sizes", "held")
REST = "rest."


def save_translator(folder: Path, translator: Translator, record: Record) -> None:
    """Writes weights.safetensors and translator.json; each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    put_weights(folder, translator)
    told = {"plan": asdict(translator.plan), "doubts": translator.doubts, "record": json.loads(record.to_json())}
    put_text(folder / KNOWN, json.dumps(told, indent=1) + "\n")


def load_translator(folder: Path) -> Translator:
    """The translator that `save_translator` left in a folder; to be used, not to be trained."""
    told = json_in(folder / KNOWN)
    if not isinstance(told, dict):
        raise InputError(f"{folder} holds no translator: {KNOWN} is missing or damaged; train one")
    try:
        plan = dict(told["plan"])
        first, second = plan["names"]
        one, other = plan["errors"]
        plan |= {"shape": Shape(**plan["shape"]), "names": (first, second), "errors": (bool(one), bool(other))}
        empty = Translator(Plan(**plan))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the translator in {folder} is damaged ({error}); train it again") from None
    fill(empty, weights_in(folder), folder)
    return empty.requires_grad_(requires_grad=False)


def save_matcher(folder: Path, matcher: Matcher, record: Record) -> None:
    """Writes inside.safetensors, then what `save_translator` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    part, both = folder / "inside.part", enumerate(matcher.inside)
    save_file({f"{k}/{name}": x.contiguous() for k, each in both for name, x in _tensors(each).items()}, part)
    part.replace(folder / USUAL)
    save_translator(folder, matcher.translator, record)


def load_matcher(folder: Path) -> Matcher:
    """What `save_matcher` left in a folder."""
    translator = load_translator(folder)
    try:
        held = load_file(folder / USUAL)
        first, second = (_inside({n[2:]: x for n, x in held.items() if n.startswith(f"{k}/")}) for k in range(2))
    except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"what is usual for the translator in {folder} is missing, damaged or of another version ({error}); train "
            "one into another folder"
        ) from None
    return Matcher(translator, (first, second))


def _tensors(inside: Inside) -> dict[str, Tensor]:
    more = {REST + name: x for name, x in inside.rest.state_dict().items()}
    return {name: getattr(inside, name) for name in TENSORS} | more


def _inside(held: dict[str, Tensor]) -> Inside:
    rest = Rest(tuple(held["shape"].tolist()))
    rest.load_state_dict({name.removeprefix(REST): x for name, x in held.items() if name.startswith(REST)})
    return Inside(**{name: held[name] for name in TENSORS}, rest=rest)
