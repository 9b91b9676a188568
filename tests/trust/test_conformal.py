"""Conformal risk control: what the theorem promises, on images that are drawn by chance."""

import numpy as np
import pytest

from napari_srgan.trust.conformal import (
    LEAST,
    THRESHOLDS,
    chance,
    chosen,
    fewest,
    left_out,
    mask_of,
    promising,
    tally,
)

ALPHA, TOLERANCE = 0.1, 5.0


def image(random, noise=1.0):
    """A score and an error that grows with it, more in some images than in others."""
    score = random.gamma(1.5, 2, (64, 64))
    spoilt = random.gamma(4, 0.25) * noise
    return score, np.abs(random.normal(0, 1, score.shape)) * score * spoilt


def tallies(random, count, noise=1.0):
    return [tally(*image(random, noise), TOLERANCE) for _ in range(count)]


def test_new_images_have_a_mean_risk_of_at_most_alpha():
    random = np.random.default_rng(0)
    risks, shares = [], []
    for _ in range(60):
        at = chosen(tallies(random, 20), ALPHA)
        for new in tallies(random, 3):
            risks.append(new.risks[at])
            shares.append(new.shares[at])
    # 180 risks: their mean lies within 0.02 of its expectation.
    assert np.mean(risks) < ALPHA + 0.02
    assert np.mean(shares) > 0.4, "a mask that trusts nothing would promise as much"
    without = [tallies(random, 1)[0].risks[chosen(tallies(random, 20), 0.5)] for _ in range(40)]
    assert np.mean(without) > 1.3 * ALPHA, "so alpha is what keeps the risk down"


def test_the_threshold_is_that_of_the_definition():
    found = tallies(np.random.default_rng(1), 15)
    at = chosen(found, ALPHA)
    worst = [
        [max((image.wrong[j] / image.trusted[j] if image.trusted[j] else 0) for j in range(k + 1))
         for image in found]
        for k in (at, at + 1)
    ]  # fmt: skip
    n = len(found)
    assert n / (n + 1) * np.mean(worst[0]) + 1 / (n + 1) <= ALPHA
    assert n / (n + 1) * np.mean(worst[1]) + 1 / (n + 1) > ALPHA


def test_a_tally_counts_pixels_and_leaves_out_what_has_no_score():
    score = np.array([[0.005, 1.0, 3.0, np.nan]])
    found = tally(score, np.array([[0.0, 9.0, 9.0, 0.0]]), TOLERANCE)
    at = int(np.searchsorted(THRESHOLDS, 2.0))
    assert (found.below[at], found.trusted[at], found.wrong[at], found.pixels) == (2, 2, 1, 4)
    assert found.risks[at] == 0.5
    assert (found.below[-1], found.wrong[-1]) == (3, 2)
    both = found + found
    assert (both.trusted[at], both.wrong[at], both.pixels) == (4, 2, 8)
    np.testing.assert_array_equal(mask_of(score, 2.0), [[True, True, False, False]])


def test_a_mask_of_next_to_nothing_is_empty_in_the_tally_as_on_the_screen():
    score = np.full((50, 50), 50.0)
    score[0, :5] = 0.1
    assert LEAST * score.size > 5
    assert not mask_of(score, 1.0).any()
    assert not tally(score, score, TOLERANCE).trusted[THRESHOLDS < 49].any()
    assert tally(score).below[THRESHOLDS > 1][0] == 5
    score[0, :30] = 0.1
    assert mask_of(score, 1.0).sum() == 30


def test_masks_and_tallies_agree_at_every_threshold():
    random = np.random.default_rng(2)
    score, error = image(random)
    score = score.astype(np.float32)
    found = tally(score, error, TOLERANCE)
    for at in (0, 50, 100, 150, 240):
        mask = mask_of(score, float(THRESHOLDS[at]))
        assert mask.sum() == found.trusted[at]
        assert (mask & (error > TOLERANCE)).sum() == found.wrong[at]


@pytest.mark.parametrize(("alpha", "least"), [(0.1, 9), (0.05, 19), (0.2, 4), (0.25, 3)])
def test_fewer_images_than_that_can_promise_nothing(alpha, least):
    assert fewest(alpha) == least
    perfect = tally(np.ones((20, 20)), np.zeros((20, 20)), TOLERANCE)
    assert chosen([perfect] * least, alpha) == len(THRESHOLDS) - 1
    assert chosen([perfect] * (least - 1), alpha) is None


def test_each_image_left_out_is_measured_by_the_others():
    found = tallies(np.random.default_rng(3), 12)
    for k, (risk, share) in enumerate(left_out(found, ALPHA)):
        at = chosen(found[:k] + found[k + 1 :], ALPHA)
        assert (risk, share) == (found[k].risks[at], found[k].shares[at])


def test_the_sharper_score_promises_more():
    random = np.random.default_rng(4)
    sharp, blunt = [], []
    for _ in range(10):
        score, error = image(random)
        sharp.append(tally(score, error, TOLERANCE))
        blunt.append(tally(random.permutation(score.ravel()).reshape(64, 64), error, TOLERANCE))
    assert promising(sharp, ALPHA) > promising(blunt, ALPHA) + 0.1


def test_chance_is_small_for_what_does_not_come_up_and_never_below_the_truth():
    assert chance([0.0, 0.1], ALPHA) == 1
    assert chance([0.5] * 8, ALPHA) < 0.02
    assert chance([0.13] * 8, ALPHA) > 0.5
    assert chance([1.0] * 3, ALPHA) == pytest.approx(0.001)
    random = np.random.default_rng(5)
    for limit in (0.2, 0.25, 0.3):
        means = random.binomial(1, ALPHA, (4000, 12)).mean(1)
        assert (means >= limit).mean() <= chance([limit] * 12, ALPHA) + 0.01
