"""Translator: between two domains of images, without pairs, in both directions.

    generators:  sum over both directions of
                 (critic(translated) - 1)^2 + CONTRAST contrast(translated, image) + IDENTITY missed(own image)
    critics:     sum over both domains of (critic(own image) - 1)^2 + critic(translated)^2

That is `kind` "contrast"; "cycle" has CYCLE missed(there and back, image) in place of contrast (J.-Y. Zhu et al.,
arXiv:1703.10593). With "instrument", the default, the second domain is
the first behind an `Instrument`, that keeps the intensity: it has nothing but its critic to please, and the way back
learns from images of the first domain that went through it, RESTORED away(back, image) + PLAUSIBLE (critic - 1)^2.

What is known is not learnt: where the other domain has errors the generator makes the expected level and its error,
and noise is drawn from them before a critic looks, so that nothing can be hidden in it; an instrument whose errors are
those of counts counts by Poisson's law; coverage and exposure are those of an image of the other domain. Training keeps
the weights with the least energy distance between features of translated held-out images and those of the domain, over
that of two halves of the domain, summed over both directions.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.learn.npe import initialise
from sqwirrel.learn.translate import losses, networks
from sqwirrel.learn.translate.domain import Domain, Images, Two, Unpaired
from sqwirrel.learn.translate.judge import SPREAD, Look, diversity, energy_distance
from sqwirrel.learn.translate.networks import Critic, Generator, Level, Made, Seen, Shape
from sqwirrel.learn.translate.networks.instrument import Instrument, check_scales, counts, exposure, generator_of
from sqwirrel.learn.translate.plan import Marks, Plan
from sqwirrel.seeds import stream

CONTRAST, IDENTITY, CYCLE = 0.3, 5.0, 10.0
RESTORED, PLAUSIBLE = 5.0, 0.1
MEMORY = 0.99
"""Share of the averages of weights that stays in a step (Y. Yazici et al., arXiv:1806.04498)."""
VEIL = 0.02
"""Standard deviation of the noise that critics look through, in asinh(level / size)."""
MOMENTS = 256
"""Images of each domain that say what is usual."""
TOGETHER = 32
"""Images that are translated at once."""


class Translator(nn.Module):
    """Translates images between two domains; made for two domains with `sized_for`."""

    size: Tensor
    middle: Tensor
    width: Tensor

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan, shape = plan, plan.shape
        heads = [losses.Heads(shape.channels) for _ in plan.names]
        self.marks = Marks()
        self.heads = nn.ModuleList(heads)
        self.generators, self.averages = (nn.ModuleList(generator_of(plan, k) for k in range(2)) for _ in range(2))
        self.critics = nn.ModuleList(Critic(shape) for _ in range(2))
        self.look = Look(shape.axes, plan.seed)
        self.register_buffer("size", torch.ones(()))
        self.register_buffer("middle", torch.zeros(shape.conditions))
        self.register_buffer("width", torch.ones(shape.conditions))
        for k in range(2):
            self.generator(k).begin(plan.seed + k)
            self.critic(k).begin(plan.seed + 2 + k)
            initialise(heads[k], plan.seed + 4 + k)
        self.averages.load_state_dict(self.generators.state_dict())
        self.averages.requires_grad_(requires_grad=False)

    @classmethod
    def sized_for(
        cls,
        domains: Unpaired,
        names: tuple[str, str] = ("simulated", "measured"),
        kind: str = "instrument",
        *,
        channels: int = 32,
        blocks: int = 4,
        seed: int = 0,
    ) -> "Translator":
        """For two domains, in the order of their names; levels are seen in units of the geometric mean of their root
        mean squares. Raises InputError where no instrument goes from the first to the second: it keeps intensity.
        """
        both = (domains.first, domains.second)
        shape = Shape(len(both[0].shape), both[0].condition.shape[1], channels, blocks)
        new = cls(Plan(shape, names, (both[0].has_errors, both[1].has_errors), kind, seed))
        new.fit(both)
        return new

    def fit(self, domains: tuple[Domain, Domain]) -> None:
        """Takes the usual level, conditions and features from images of both domains."""
        images = [each.batch(MOMENTS, self.plan.seed, f"moments {k}") for k, each in enumerate(domains)]
        if self.plan.kind == "instrument":
            check_scales(images[0].x, images[1].x, self.plan.names)
        self.size.copy_(torch.stack([networks.rms(each.x) for each in images]).log().mean().exp())
        known = torch.cat([each.condition for each in images])
        self.middle.copy_(known.mean(0))
        spread = (known - self.middle).square().mean(0).sqrt()
        self.width.copy_(torch.where(spread > 1e-6, spread, 1.0))
        seen = [self.seen(k, each).x for k, each in enumerate(images)]
        self.look.fit(torch.cat(seen))
        one, other = (networks.usual_error(x) for x in seen)
        for generators in (self.generators, self.averages):
            for generator, more in zip(generators, (one - other, other - one), strict=True):
                generator.usual.copy_(more)  # type: ignore[operator]
            if isinstance(last := generators[1], Instrument):
                last.expose(seen[1])

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        parts = {"now": self.generators, "averages": self.averages, "heads": self.heads, "marks": self.marks}
        return {"generators": nn.ModuleDict(parts), "critics": self.critics}

    def generator(self, k: int) -> Generator | Instrument:
        """That which makes images of a domain, as it is in training."""
        return self.generators[k]  # type: ignore[return-value]

    def average(self, k: int) -> Generator | Instrument:
        """That with the average of its weights, which translates."""
        return self.averages[k]  # type: ignore[return-value]

    def critic(self, k: int) -> Critic:
        """That which knows images of a domain."""
        return self.critics[k]  # type: ignore[return-value]

    def seen(self, k: int, images: Images) -> Images:
        """Images of a domain as networks see them, with even conditions."""
        x = networks.seen(images.x, float(self.size), has_errors=self.plan.errors[k])
        return Images(x, (images.condition - self.middle) / self.width)

    def loss(self, player: str, batch: Two) -> Float32[Tensor, ""]:
        """That of the generators, or that of the critics."""
        both = [self.seen(k, each) for k, each in enumerate((batch.first, batch.second))]
        part = self._generators if player == "generators" else self._critics
        if player == "generators" and torch.is_grad_enabled():
            self._follow()
        return torch.stack([part(both, k, batch.draw) for k in range(2)]).sum()

    def held(self, batch: Two) -> float:
        """Energy distances of translated images, over those of two halves of the domain, towards both together."""
        both = [self.seen(k, each) for k, each in enumerate((batch.first, batch.second))]
        for k in range(2):
            own, other, look = both[k], both[1 - k], self.look
            draws = [(Images(x, c), own.x[at], batch.draw + int(at[0])) for x, c, at in _parts(other)]
            parts = [self._as_seen(self.average(k), k, *each) for each in draws]
            domain, half = look(own.x), len(own.x) // 2
            one, moved = look(torch.cat(parts)), look(networks.whole(other.x, other.x[:, 2] * own.x[:, 2]))
            usual = max(energy_distance(domain[:half], domain[half:]), 1e-9)
            self.marks.after[k] = energy_distance(one, domain) / usual
            self.marks.before[k] = energy_distance(moved, domain) / usual
            self.marks.spread[k] = diversity(one, domain)
        return float(self.marks.after.sum())

    @property
    def doubts(self) -> tuple[str, ...]:
        """What went wrong in training, in words; nothing if all is well."""
        found = []
        for name, before, after, spread in zip(self.plan.names, *self._told, strict=True):
            if spread < SPREAD:
                found.append(
                    f"images translated to '{name}' have collapsed: they scatter {spread:.2g} times as far as its own"
                )
            if after >= before:
                found.append(
                    f"images translated to '{name}' are no more like its own than before: their distance is "
                    f"{after:.3g} times that of two halves of it, untranslated {before:.3g} times"
                )
        return tuple(found)

    def translate(self, images: Images, to: str) -> Made:
        """Expected levels and errors in the other domain, in every bin, with no gradient."""
        k = self.plan.towards(to)
        seen = self.seen(1 - k, images)
        with torch.no_grad():
            made = torch.cat([self.average(k)(x, condition) for x, condition, _ in _parts(seen)])
        return networks.made(made, float(self.size), has_errors=self.plan.errors[k])

    def drawn(self, images: Images, to: str, valid: Level, seed: int) -> Seen:
        """Images as they would have been measured in the other domain, in bins that are `valid`, with noise if it has
        errors; channels are those of a `Domain`.
        """
        found, k = self.translate(images, to), self.plan.towards(to)
        if exposed := self._exposure(k):
            level = torch.asinh(found.level / self.size)
            x = counts(
                torch.stack((level, level, valid), 1),
                valid,
                level.new_full((len(level),), exposed),
                stream(seed, "noise"),
            )
            stack = torch.stack((self.size * torch.sinh(x[:, 0]), x[:, 1] + self.size.log(), valid), dim=1)
            return torch.where(valid[:, None] > 0, stack, 0.0)
        noise = torch.randn(found.level.shape, generator=stream(seed, "noise"))
        logged = found.error.clamp(min=1e-30).log() if self.plan.errors[k] else torch.zeros_like(found.error)
        stack = torch.stack((found.level + found.error * noise, logged, valid), dim=1)
        return torch.where(valid[:, None] > 0, stack, 0.0)

    @property
    def _told(self) -> tuple[list[float], list[float], list[float]]:
        return self.marks.before.tolist(), self.marks.after.tolist(), self.marks.spread.tolist()

    def _follow(self) -> None:
        """Moves the averages a little towards what generators are now; more so in the first steps."""
        self.marks.steps += 1
        share = max(1 - MEMORY, 1 / (1 + float(self.marks.steps)))
        with torch.no_grad():
            pairs = zip(self.averages.parameters(), self.generators.parameters(), strict=True)
            for average, now in pairs:
                average.lerp_(now, share)

    def _exposure(self, k: int) -> float:
        """Counts of a level of size in a domain; 0 where nothing is counted."""
        return float(one.exposure) if isinstance(one := self.average(k), Instrument) else 0.0

    def _as_seen(self, network: nn.Module, k: int, images: Images, own: Seen, draw: int) -> Seen:
        """Images translated to a domain, as they would have been measured there, with the coverage and the exposure of
        images of it.
        """
        made, valid = network(images.x, images.condition), own[:, 2]
        if not self.plan.errors[k]:
            return networks.whole(made, valid)
        generator = stream(draw, f"noise {k}")
        if usual := self._exposure(k):
            own_exposure = exposure(own)
            return counts(made, valid, torch.where(own_exposure > 0, own_exposure, usual), generator)
        return networks.noisy(made, valid, torch.randn(valid.shape, generator=generator).to(made))

    def _opinion(self, k: int, images: Images, draw: int) -> networks.Cells:
        """What the critic of a domain says, through a veil of noise: images without any would be told by a trifle (C.
        Sonderby et al., arXiv:1610.04490).
        """
        noise = torch.randn(images.x[:, 0].shape, generator=stream(draw, "veil"))
        veiled = images.x[:, 0] + VEIL * noise * images.x[:, 2]
        found: Tensor = self.critic(k)(torch.cat((veiled[:, None], images.x[:, 1:]), dim=1), images.condition)
        return found

    def _generators(self, both: list[Images], k: int, draw: int) -> Float32[Tensor, ""]:
        own, other = both[k], both[1 - k]
        fake = self._as_seen(self.generator(k), k, other, own.x, draw)
        found = losses.criticised(self._opinion(k, Images(fake, other.condition), draw), 1.0, own.x[:, 2])
        if self.plan.kind == "instrument":
            if k == 0:
                return PLAUSIBLE * found + self._back(own, other, draw + 2)
            if torch.is_grad_enabled():
                self._learn_background(fake, own.x)
            return found
        same = self.generator(k)(own.x, own.condition)
        found = found + IDENTITY * losses.missed(same, own.x, has_errors=self.plan.errors[k])
        if self.plan.kind == "cycle":
            back = self.generator(1 - k)(fake, other.condition)
            again = networks.whole(back, own.x[:, 2])
            return found + CYCLE * losses.missed(again, other.x, has_errors=self.plan.errors[1 - k])
        return found + CONTRAST * self._contrast(k, fake, other, draw)

    def _learn_background(self, fake: Seen, own: Seen) -> None:
        """Of the instrument and of its average."""
        for each in (self.generators[1], self.averages[1]):
            if isinstance(each, Instrument):
                each.settle(fake, own)

    def _back(self, own: Images, other: Images, draw: int) -> Float32[Tensor, ""]:
        """How far what is made of images of the first domain, seen through the instrument as far as it is learnt and
        with the coverage and exposure of others, is from what they were (A. Bulat et al., arXiv:1807.11458).
        """
        with torch.no_grad():
            seen = self._as_seen(self.generator(1), 1, own, other.x, draw)
        return RESTORED * losses.away(self.generator(0)(seen, own.condition), own.x)

    def _contrast(self, k: int, fake: Seen, source: Images, draw: int) -> Float32[Tensor, ""]:
        """Encoders are the first halves of the generators that see the domain; keys have no gradient here, as queries
        of the other direction they have.
        """
        queries = self.generator(1 - k).body.halfway(fake, source.condition)
        with torch.no_grad():
            keys = self.generator(k).body.halfway(source.x, source.condition)
        cells = queries[0].shape[2:]
        places = losses.places_of(fake, cells, stream(draw, f"places {k}"))
        there = losses.cover(fake[:, 2] * source.x[:, 2], cells).flatten(1)[:, places]
        one = self.heads[k](queries, places)
        with torch.no_grad():
            two = self.heads[1 - k](keys, places)
        each = [losses.contrast(a, b, (there > 0).float()) for a, b in zip(one, two, strict=True)]
        return torch.stack(each).mean()

    def _critics(self, both: list[Images], k: int, draw: int) -> Float32[Tensor, ""]:
        own, other = both[k], both[1 - k]
        with torch.no_grad():
            fake = self._as_seen(self.generator(k), k, other, own.x, draw)
        real = losses.criticised(self._opinion(k, own, draw + 1), 1.0, own.x[:, 2])
        return real + losses.criticised(self._opinion(k, Images(fake, other.condition), draw), 0.0, own.x[:, 2])


def _parts(images: Images) -> list[tuple[Seen, Tensor, Tensor]]:
    """A few images at once, their conditions, and which they are."""
    each = zip(*(torch.split(one, TOGETHER) for one in (*images, torch.arange(len(images.x)))), strict=True)
    return [(x, condition, rows) for x, condition, rows in each]
