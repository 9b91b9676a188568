"""Blend the weights of a fidelity model and of the perceptual one that was trained from it.

    python scripts/blend_models.py FIDELITY PERCEPTUAL SHARE OUT

Network interpolation (Wang et al., ESRGAN, arXiv 1809.00219, section 3.4): the longer a perceptual
model trains, the more texture it draws; a share of it below 1 takes the excess back, and with it
pixel errors. The card is that of PERCEPTUAL, with the blend in its training. Models are names or
files.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from napari_srgan.models import load_model, save_model


def blend(fidelity: str | Path, perceptual: str | Path, share: float, out: Path) -> None:
    """Write (1 - share) * fidelity + share * perceptual, weight by weight.

    Raises
    ------
    ValueError
        If the networks differ, or the share is not within 0 and 1.
    """
    base, other = load_model(fidelity), load_model(perceptual)
    if dict(base.card.parameters) != dict(other.card.parameters):
        raise ValueError(f"{base.card.name} and {other.card.name} are different networks.")
    if not 0 <= share <= 1:
        raise ValueError(f"The share must be within 0 and 1, not {share}.")
    network = deepcopy(other.network)  # a loaded model is shared
    former, blended = base.network.state_dict(), network.state_dict()
    for key, weights in blended.items():
        if weights.is_floating_point():  # batch norm also counts its batches
            blended[key] = former[key].lerp(weights, share)
    network.load_state_dict(blended)
    training = {**other.card.training, "blend": {"with": base.card.name, "share": share}}
    save_model(out, network, replace(other.card, training=training, validation=()))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fidelity")
    parser.add_argument("perceptual")
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    try:
        blend(given.fidelity, given.perceptual, given.share, given.out)
    except ValueError as error:
        parser.error(str(error))
    print(given.out)


if __name__ == "__main__":
    main()
