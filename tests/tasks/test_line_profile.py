"""Profiles of stacks along one line, as a table."""

import numpy as np

from napari_srgan.image.stack import Stack
from napari_srgan.tasks.profile import OnLine, measure_line
from napari_srgan.tasks.steps import drain


def test_the_plane_in_view_is_measured_and_tabled():
    data = np.zeros((3, 10, 40), np.uint8)
    data[2] = (200 * np.exp(-((np.arange(40) - 20.0) ** 2) / 18)).round()
    stack = Stack(data, axes="ZYX", name="scan")
    line = OnLine("input", stack, (2,), (5, 0), (5, 39), (0.1, 0), "cubic")
    found = drain(measure_line([line], 39 * 2.5, "micrometer"))
    assert found.symbol == "µm"
    rows = found.rows()
    assert list(rows[0]) == [
        "image",
        "distance_micrometer",
        "value",
        "fwhm_micrometer",
        "edge_10_90_micrometer",
    ]
    assert rows[0]["distance_micrometer"] == 0 and rows[-1]["distance_micrometer"] == 97.5
    assert max(row["value"] for row in rows) == 200
    assert abs(rows[0]["fwhm_micrometer"] - 2.355 * 3 * 2.5) < 0.2
    assert rows[0]["edge_10_90_micrometer"] is None


def test_where_a_line_leaves_the_image_no_value_is_told():
    stack = Stack(np.ones((8, 8)), name="scan")
    line = OnLine("result", stack, (), (4, 4), (4, 12), (1, 0))
    rows = drain(measure_line([line], 8.0, "pixel")).rows()
    assert rows[0]["value"] == 1 and rows[-1]["value"] is None
    assert "distance_px" in rows[0]
