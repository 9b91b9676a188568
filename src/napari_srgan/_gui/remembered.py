"""What the panel remembers from one session to the next, as napari's Preferences show it.

What belongs here: reading and writing the settings that the manifest declares under
`configurations`. A broken settings file must never keep the panel from opening.
"""

from __future__ import annotations

import logging

_PLUGIN = "napari-srgan"
_log = logging.getLogger(__name__)


def side_by_side() -> bool:
    """Whether results are shown beside their input in the grid; True unless turned off."""
    try:
        from napari.settings import get_plugin_settings

        return bool(get_plugin_settings(_PLUGIN).viewing.side_by_side)
    except Exception:
        _log.debug("the plugin's settings cannot be read", exc_info=True)
        return True


def remember_side_by_side(on: bool) -> None:
    """Keep the choice for the next session."""
    try:
        from napari.settings import get_plugin_settings

        get_plugin_settings(_PLUGIN).viewing.side_by_side = bool(on)
    except Exception:
        _log.warning("the choice of the grid view could not be kept", exc_info=True)
