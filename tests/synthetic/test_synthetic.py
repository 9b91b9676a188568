"""The physics of the synthetic OCT: what is measured in its images against what theory says."""

import numpy as np
import pytest
from scipy import ndimage

from napari_srgan.synthetic.optics import Grid, Optics, Psf, acquire, detect, display, scatterers
from napari_srgan.synthetic.retina import backscatter, boundaries, thicknesses

HIGH, LOW = Psf(axial=3.0, lateral=4.5), Psf(axial=12.0, lateral=18.0)
FINE = Grid(rows=512, cols=512, dz=1.5, dx=2.25)
TISSUE = FINE.padded(24)
FWHM_OF_DIAMETER = np.sqrt(np.log(2) / 2)
"""Half-maximum width of a Gaussian beam as a fraction of its 1/e^2 diameter."""


def _speckle(optics, seed=0):
    """Fully developed speckle: uniform tissue, no detector noise."""
    rng = np.random.default_rng(seed)
    return np.abs(optics.field(scatterers(np.ones(optics.source.shape), rng))) ** 2


def test_amplitude_contrast_of_fully_developed_speckle():
    amplitude = np.sqrt(_speckle(Optics(HIGH, TISSUE, FINE)))
    # Rayleigh: sqrt(4 / pi - 1). Some 25,000 speckles: 0.003 of scatter.
    assert amplitude.std() / amplitude.mean() == pytest.approx(0.5227, abs=0.010)


def test_log_intensity_spread_of_fully_developed_speckle():
    decibel = 10 * np.log10(_speckle(Optics(HIGH, TISSUE, FINE)))
    assert decibel.std() == pytest.approx(5.57, abs=0.10)


def test_speckle_keeps_its_statistics_at_the_coarse_resolution():
    intensity = np.stack(
        [_speckle(Optics(LOW, TISSUE, FINE.coarser(4)), seed) for seed in range(12)]
    )
    amplitude = np.sqrt(intensity)
    assert amplitude.std() / amplitude.mean() == pytest.approx(0.5227, abs=0.012)
    assert intensity.mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("psf", [HIGH, LOW], ids=["3/4.5", "12/18"])
def test_speckle_is_sqrt_2_wider_than_the_point_spread_function(psf):
    # Looked at on a grid of 1/4 of the width, so that the half maximum lies between lags.
    dz, dx = psf.axial / 4, psf.lateral / 4
    grid = Grid(rows=600, cols=600, dz=dz, dx=dx)
    intensity = _speckle(Optics(psf, grid.padded(24), grid))
    deviation = intensity - intensity.mean()
    power = np.abs(np.fft.fft2(deviation)) ** 2
    covariance = np.fft.ifft2(power).real
    covariance /= covariance[0, 0]
    rows, cols = _width(covariance[:40, 0]) * dz, _width(covariance[0, :40]) * dx
    assert rows == pytest.approx(np.sqrt(2) * psf.axial, rel=0.05)
    assert cols == pytest.approx(np.sqrt(2) * psf.lateral * FWHM_OF_DIAMETER, rel=0.05)


@pytest.mark.parametrize("psf", [HIGH, LOW], ids=["3/4.5", "12/18"])
def test_a_point_is_as_wide_as_the_instrument_says(psf):
    point = Grid(rows=1, cols=1, dz=1.0, dx=1.0, z0=30.0, x0=30.0)
    dense = Grid(rows=600, cols=600, dz=0.1, dx=0.1)
    # A row of weights is normalised over its sources, so with one source the shape must come
    # from many: a point among empty places.
    source = Grid(rows=121, cols=121, dz=0.5, dx=0.5)
    amplitudes = np.zeros(source.shape, complex)
    amplitudes[round(point.z0 / 0.5), round(point.x0 / 0.5)] = 1
    image = np.abs(Optics(psf, source, dense).field(amplitudes)) ** 2
    row, col = np.unravel_index(image.argmax(), image.shape)
    depth, across = image[row:, col], image[row, col:]
    assert _width(depth / depth[0]) * 0.1 == pytest.approx(psf.axial, rel=0.02)
    e2 = 2 * np.interp(-np.exp(-2), -across / across[0], np.arange(across.size)) * 0.1
    assert e2 == pytest.approx(psf.lateral, rel=0.02)


def _width(profile):
    """Full width at half maximum of a peak whose maximum, 1, is the first element."""
    below = int(np.argmax(profile < 0.5))
    a, b = profile[below - 1], profile[below]
    return 2 * (below - 1 + (a - 0.5) / (a - b))


def _seen_coarsely(field, offset):
    """What the coarse instrument makes of the fine field: HR blurred by the difference of PSFs."""
    sigma = (
        np.sqrt((LOW.wz**2 - HIGH.wz**2) / 2) / FINE.dz,
        np.sqrt((LOW.wx**2 - HIGH.wx**2) / 2) / FINE.dx,
    )
    at = np.meshgrid(*(np.arange(16, n // 4 - 16) * 4 + offset for n in FINE.shape), indexing="ij")
    parts = (ndimage.gaussian_filter(part, sigma) for part in (field.real, field.imag))
    real, imag = (ndimage.map_coordinates(part, at, order=3) for part in parts)
    return real + 1j * imag


def _correlation(a, b):
    return np.abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))


def test_both_resolutions_see_the_same_scatterers_at_4i_plus_1_5():
    rng = np.random.default_rng(5)
    drawn, others = (scatterers(np.ones(TISSUE.shape), rng) for _ in range(2))
    fine = Optics(HIGH, TISSUE, FINE).field(drawn)
    instrument = Optics(LOW, TISSUE, FINE.coarser(4))
    coarse = instrument.field(drawn)[16:-16, 16:-16]
    assert _correlation(_seen_coarsely(fine, 1.5), coarse) > 0.999
    # A pixel rule that is wrong by half an HR pixel is noticed, and so are other scatterers.
    for wrong in (1.0, 2.0, 0.0):
        assert _correlation(_seen_coarsely(fine, wrong), coarse) < 0.995
    unrelated = instrument.field(others)[16:-16, 16:-16]
    assert _correlation(_seen_coarsely(fine, 1.5), unrelated) < 0.2


@pytest.mark.parametrize("row,col", [(100, 90), (101, 91), (103, 94), (150, 121)])
def test_a_point_lies_at_the_same_place_on_both_grids(row, col):
    grid = Grid(rows=256, cols=256, dz=1.5, dx=2.25, z0=7.0, x0=-100.0)
    amplitudes = np.zeros(grid.shape, complex)
    amplitudes[row, col] = 1
    place = grid.z[row], grid.x[col]
    for psf, target in ((HIGH, grid), (LOW, grid.coarser(4))):
        image = np.abs(Optics(psf, grid, target).field(amplitudes)) ** 2
        image /= image.sum()
        found = (image.sum(1) @ target.z, image.sum(0) @ target.x)
        assert found == pytest.approx(place, abs=0.15)  # um; a slip of half an HR pixel is 0.75


def test_coarse_pixels_cover_the_same_area():
    coarse = FINE.coarser(4)
    assert coarse.shape == (128, 128)
    assert (coarse.z[0], coarse.x[0]) == pytest.approx((1.5 * 1.5, 1.5 * 2.25))
    assert coarse.z[0] - coarse.dz / 2 == pytest.approx(FINE.z[0] - FINE.dz / 2)
    assert coarse.z[-1] + coarse.dz / 2 == pytest.approx(FINE.z[-1] + FINE.dz / 2)
    with pytest.raises(ValueError, match="does not divide"):
        Grid(rows=10, cols=12, dz=1, dx=1).coarser(4)


def test_truth_has_no_speckle():
    sharp = Optics(HIGH, TISSUE, FINE)
    flat = sharp.mean_intensity(np.full(TISSUE.shape, 0.3))
    assert np.ptp(flat) < 1e-12
    assert flat.mean() == pytest.approx(0.3)
    frame = _speckle(sharp)
    assert frame.std() / frame.mean() == pytest.approx(1.0, abs=0.03)


def test_frames_average_to_the_truth():
    grid = Grid(rows=64, cols=64, dz=1.5, dx=2.25)
    tissue = grid.padded(24)
    s = np.where(tissue.z[:, None] < 48, 0.05, 1.0) * np.ones(tissue.shape)
    optics = [Optics(HIGH, tissue, grid), Optics(LOW, tissue, grid.coarser(4))]
    rng = np.random.default_rng(1)
    for frames in (16, 256):
        means = acquire(s, optics, noise=0.02, frames=frames, rng=rng)
        for mean, instrument in zip(means, optics, strict=True):
            expected = instrument.mean_intensity(s) + 0.02
            error = np.sqrt(np.mean((mean / expected - 1) ** 2))
            # The relative error of the mean of n exponential intensities is 1 / sqrt(n).
            assert error == pytest.approx(1 / np.sqrt(frames), rel=0.25)


def test_noise_is_the_intensity_where_nothing_scatters():
    rng = np.random.default_rng(2)
    intensity = detect(np.zeros((300, 300), complex), 0.04, rng)
    assert intensity.mean() == pytest.approx(0.04, rel=0.02)
    assert intensity.std() == pytest.approx(0.04, rel=0.03)


def test_display_maps_its_range_in_decibels_and_clips():
    shown = display(np.array([0.0, 1e-5, 1e-3, 1e-1, 1e2]), -30, 0)
    assert shown == pytest.approx([0, 0, 0, 2 / 3, 1])


def test_layers_have_the_published_thicknesses():
    # RNFL, GCL, IPL, INL, OPL, ONL, PR+RPE in um; PMC6042244.
    fovea, nasal = [11, 12, 18, 15, 23, 88, 90], [20, 50, 42, 38, 32, 73, 84]
    assert np.diff(boundaries(np.array([0.0]), 0)[:, 0]) == pytest.approx(fovea)
    assert np.diff(boundaries(np.array([900.0]), 0)[:, 0]) == pytest.approx(nasal)


def test_the_fovea_is_a_pit():
    x = np.linspace(-480, 950, 400)
    total = thicknesses(x, 0).sum(axis=0)
    assert abs(x[total.argmin()]) < 5
    assert np.all(np.diff(total[x > 5]) > -1e-9)
    # 369 um above the fovea the pit is shallower, and everywhere the retina at least as thick.
    beside = thicknesses(x, 369).sum(axis=0)
    assert beside.min() > total.min() + 15


def test_the_map_shows_the_layers_in_their_places():
    grid = Grid(rows=416, cols=640, dz=1.5, dx=2.25, x0=-480.0)
    decibel = 10 * np.log10(backscatter(grid, 0.0, np.random.default_rng(3)))
    edges = boundaries(grid.x, 0)
    columns = np.flatnonzero((grid.x > 100) & (grid.x < 350))  # no big vessel there
    seen = []
    for k in range(7):
        middle = ((edges[k] + edges[k + 1]) / 2)[columns] / grid.dz
        seen.append(np.median(decibel[np.rint(middle).astype(int), columns]))
    rnfl, gcl, ipl, inl, opl, onl, _ = seen
    assert rnfl > ipl > gcl > inl > onl
    assert opl > inl + 2
    above, rpe = edges[0][columns] - 20, edges[7][columns] - 10
    vitreous = decibel[np.rint(above / grid.dz).astype(int), columns]
    assert np.median(vitreous) < onl - 20
    assert np.median(decibel[np.rint(rpe / grid.dz).astype(int), columns]) == pytest.approx(
        0, abs=1
    )


def test_big_vessels_throw_shadows_to_the_choroid():
    grid = Grid(rows=416, cols=640, dz=1.5, dx=2.25, x0=-480.0)
    s = backscatter(grid, 0.0, np.random.default_rng(4))
    edges = boundaries(grid.x, 0)
    rows = np.rint((edges[7] - 10) / grid.dz).astype(int)
    rpe = ndimage.gaussian_filter1d(s[rows, np.arange(grid.cols)], 3)
    shadow = np.abs(grid.x - 575) < 10
    beside = (np.abs(grid.x - 520) < 15) | (np.abs(grid.x - 625) < 10)
    assert rpe[shadow].mean() < 0.55 * rpe[beside].mean()


def test_the_same_seed_gives_the_same_tissue():
    grid = Grid(rows=64, cols=64, dz=6, dx=9, x0=-200.0)
    first, again, other = (backscatter(grid, 0.0, np.random.default_rng(s)) for s in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
