#!/bin/sh
# Install the built wheel where there is no napari and no Qt, and run the demonstration there.
#
#   scripts/wheel_test.sh BIN_FOLDER_OF_THE_ENVIRONMENT
set -eu
uv=$(cd "$1" && pwd)/uv
python=$(cd "$1" && pwd)/python
wheel=$(ls "$PWD"/dist/*.whl)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" # so that nothing of the checkout can be imported
unset PYTHONPATH VIRTUAL_ENV
# The wheel brings its models; a developer's own must not stand in for them.
NAPARI_SRGAN_MODELS="$work/none"
export NAPARI_SRGAN_MODELS

"$uv" venv -q --python "$python" empty
bin=empty/bin
[ -d "$bin" ] || bin=empty/Scripts
"$uv" pip install -q --python "$bin/python" "$wheel"

"$bin/python" - <<'PYTHON'
import importlib.util
for name in ("napari", "qtpy", "PyQt6", "torchvision"):
    assert importlib.util.find_spec(name) is None, f"{name} came with the base dependencies"
PYTHON

fail() {
    echo "wheel test: $1" >&2
    exit 1
}
"$bin/napari-srgan" --version
"$bin/napari-srgan" models
"$bin/napari-srgan" demo --out out | tee table.txt
grep -q "^bicubic " table.txt || fail "the table has no bicubic row"
grep -q "^srresnet-gray " table.txt || fail "the table has no row of the model"
[ -s out/oct_volume_4x.png ] || fail "the picture is missing"
"$bin/napari-srgan" sample-data samples >/dev/null
[ -n "$(ls samples/*.tif)" ] || fail "the sample stacks are missing"
"$bin/python" -m training.train_oct --help >/dev/null || fail "training cannot be started"
echo "wheel test: passed with $(basename "$wheel")"
