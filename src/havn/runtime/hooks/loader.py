"""Loading an app's `logic/` folder as the package `logic`, anew each time."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import threading
import traceback
from pathlib import Path

from havn.runtime.hooks.registry import HookError, Hooks, loading

PACKAGE = "logic"
_lock = threading.Lock()


class LoadError(Exception):
    """The app's code cannot be loaded; `file` and `line` say where, the message what."""

    def __init__(self, message: str, file: str, line: int) -> None:
        super().__init__(message)
        self.file = file
        self.line = line

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.args[0]}"


def load(module: Path | None) -> Hooks:
    """The hooks of `module` (`…/logic/hooks.py`); none when there is no such file. Raises `LoadError`.

    Modules beside it are imported as `logic.<name>`, or relatively. Earlier loads of them are forgotten first, and put
    back when this one fails.
    """
    if module is None or not module.is_file():
        return Hooks()
    with _lock:
        earlier = {name: sys.modules.pop(name) for name in list(sys.modules) if _ours(name)}
        # Bytecode is told from its source by size and second: a save within the same second would not be seen.
        writes_bytecode, sys.dont_write_bytecode = not sys.dont_write_bytecode, True
        try:
            return _load(module)
        except BaseException:
            for name in [name for name in sys.modules if _ours(name)]:
                del sys.modules[name]
            sys.modules.update(earlier)
            raise
        finally:
            sys.dont_write_bytecode = not writes_bytecode


def _ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _load(module: Path) -> Hooks:
    importlib.invalidate_caches()
    folder = module.parent
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(PACKAGE, init, submodule_search_locations=[str(folder)])
    else:
        spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    with loading() as hooks:
        try:
            package = importlib.util.module_from_spec(spec)
            sys.modules[PACKAGE] = package
            if spec.loader is not None:
                spec.loader.exec_module(package)
            importlib.import_module(f"{PACKAGE}.{module.stem}")
        except SyntaxError as error:
            raise LoadError(error.msg, error.filename or str(module), error.lineno or 0) from error
        except Exception as error:
            raise _located(error, folder, module) from error
    return hooks


def _located(error: Exception, folder: Path, module: Path) -> LoadError:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(folder))]
    file, line = (frames[-1].filename, frames[-1].lineno or 0) if frames else (str(module), 0)
    text = str(error) if isinstance(error, HookError) else f"{type(error).__name__}: {error}"
    return LoadError(text, file, line)
