#!/bin/sh
# The demonstration: the table and the picture, then napari with input, result and truth.
# Without a screen the window is opened on a virtual one and photographed.
#
#   scripts/demo.sh BIN_FOLDER_OF_THE_ENVIRONMENT
set -eu
bin=$1
here=$(dirname "$0")

case "$(uname -s)" in
    Linux | *BSD) screen="${DISPLAY:-}${WAYLAND_DISPLAY:-}" ;;
    *) screen=yes ;;
esac
if [ -n "$screen" ]; then
    exec "$bin/napari-srgan" demo --out demo --window
fi
code=0
sh "$here/with_screen.sh" "$bin/napari-srgan" demo --out demo --window --screenshot demo/window.png || code=$?
if [ "$code" -eq 3 ]; then # no virtual screen either; what to install has been said
    exec "$bin/napari-srgan" demo --out demo
fi
exit "$code"
