"""Independent random streams from one seed and a label.

There is no global random state: every consumer of randomness asks for its own stream by name, so that adding
one consumer changes no other's numbers.
"""

import hashlib

import torch


def stream(seed: int, label: str) -> torch.Generator:
    """A CPU generator determined by `seed` and `label` together (their SHA-256, 63 bits of it)."""
    digest = hashlib.sha256(f"{seed}/{label}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
