#!/bin/sh
# Run a command that opens windows: on the screen if there is one, else on a virtual screen.
#
#   scripts/with_screen.sh COMMAND [ARGUMENT...]
#
# A virtual screen needs Xvfb and Mesa's software OpenGL. As root on Debian or Ubuntu they are
# installed when missing; elsewhere the script says what to install and exits with code 3.
set -eu

packages="xvfb xauth libgl1 libegl1 libgl1-mesa-dri libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4
 libxcb-keysyms1 libxcb-image0 libxcb-render-util0 libxcb-xinerama0 libxcb-shape0 libdbus-1-3"

case "$(uname -s)" in
    Linux | FreeBSD | *BSD) ;;
    *) exec "$@" ;; # macOS and Windows always have a screen that Qt can use
esac
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $packages; do
        # Ubuntu's 64-bit time_t packages provide the old names; ask for the state, not the name.
        if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
            missing="$missing $package"
        fi
    done
elif ! command -v xvfb-run >/dev/null 2>&1; then
    missing=" xvfb-run"
fi

if [ -n "$missing" ] && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
    echo "Installing what a virtual screen needs:$missing" >&2
    # The lists of a fresh image are empty or old: update first, and go on with the old ones if
    # that fails, because an offline machine may still have the packages in its cache.
    apt-get update -qq >&2 || true
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing >/dev/null ||
        echo "That did not succeed; trying with what there is." >&2
fi
if ! command -v xvfb-run >/dev/null 2>&1; then
    echo "There is no screen, and no virtual one. Install it and run this again:" >&2
    if command -v apt-get >/dev/null 2>&1; then
        echo "    sudo apt-get install$missing" >&2
    elif command -v dnf >/dev/null 2>&1; then
        echo "    sudo dnf install xorg-x11-server-Xvfb mesa-dri-drivers libxkbcommon-x11 xcb-util-cursor" >&2
    elif command -v pacman >/dev/null 2>&1; then
        echo "    sudo pacman -S xorg-server-xvfb mesa libxkbcommon-x11 xcb-util-cursor" >&2
    else
        echo "    Xvfb with xvfb-run, and Mesa's software OpenGL (llvmpipe)" >&2
    fi
    exit 3
fi

# A virtual screen has no graphics card behind it, and Qt's "offscreen" has no OpenGL at all.
LIBGL_ALWAYS_SOFTWARE=1
export LIBGL_ALWAYS_SOFTWARE
unset QT_QPA_PLATFORM
# 24-bit colour and GLX: napari draws with OpenGL. The size holds a whole napari window.
exec xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX" "$@"
