"""napari-srgan: 4x super-resolution of OCT and microscopy stacks.

The names below are imported when they are first used, so that `import napari_srgan` is quick
and loads neither torch nor napari.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_srgan.api import upscale
    from napari_srgan.engine.run import Result
    from napari_srgan.errors import InputError
    from napari_srgan.image.stack import Stack
    from napari_srgan.io.open import open_stack
    from napari_srgan.models.catalogue import list_models, load_model

__version__ = "0.4.0.dev0"

__all__ = [
    "InputError",
    "Result",
    "Stack",
    "__version__",
    "list_models",
    "load_model",
    "open_stack",
    "upscale",
]

_HOME = {
    "InputError": "errors",
    "Result": "engine.run",
    "Stack": "image.stack",
    "list_models": "models.catalogue",
    "load_model": "models.catalogue",
    "open_stack": "io.open",
    "upscale": "api",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"napari_srgan.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
