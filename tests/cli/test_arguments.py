"""What is mistyped is answered with what was probably meant."""

from __future__ import annotations

import pytest

from napari_srgan.cli import main


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["upscal", "a.tif", "b.tif"], "There is no command 'upscal' (did you mean upscale?)"),
        (["zzz"], "There is no command 'zzz'; see"),
        (
            ["upscale", "a.tif", "b.tif", "--modle", "x"],
            "no option --modle (did you mean --model?)",
        ),
        (["upscale", "a", "b", "--modle=x"], "no option --modle (did you mean --model?)"),
        (["models", "--xyz"], "There is no option --xyz; see"),
    ],
)
def test_a_typo_is_answered_with_the_word_that_is_like_it(typed, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
