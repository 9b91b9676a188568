"""Blend the weights of two models of which one was trained from the other.

    python scripts/blend_models.py BASE TRAINED SHARE OUT

Network interpolation (Wang et al., ESRGAN, arXiv 1809.00219, section 3.4): the longer a perceptual
model trains, the more texture it draws; a share of it below 1 takes the excess back, and with it
pixel errors. BASE is the fidelity model that it came from, or an earlier state of it. The card is
that of TRAINED, with the blend in its training. Models are names or files.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from napari_srgan.models.catalogue import load_model, save_model


def blend(base: str | Path, trained: str | Path, share: float, out: Path) -> None:
    """Write (1 - share) * base + share * trained, weight by weight.

    Raises
    ------
    ValueError
        If the networks differ, or the share is not within 0 and 1.
    """
    first, second = load_model(base), load_model(trained)
    if dict(first.card.parameters) != dict(second.card.parameters):
        raise ValueError(f"{first.card.name} and {second.card.name} are different networks.")
    if not 0 <= share <= 1:
        raise ValueError(f"The share must be within 0 and 1, not {share}.")
    network = deepcopy(second.network)  # a loaded model is shared
    former, blended = first.network.state_dict(), network.state_dict()
    for key, weights in blended.items():
        if weights.is_floating_point():  # batch norm also counts its batches
            blended[key] = former[key].lerp(weights, share)
    network.load_state_dict(blended)
    training = {**second.card.training, "blend": {"with": first.card.name, "share": share}}
    save_model(out, network, replace(second.card, training=training, validation=()))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("trained")
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    try:
        blend(given.base, given.trained, given.share, given.out)
    except ValueError as error:
        parser.error(str(error))
    print(given.out)


if __name__ == "__main__":
    main()
