"""`havn new`: an app folder that runs, to be changed into what one needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from havn.cli.output import Failure, JsonOption, say, write, write_json
from havn.cli.platform import app_id

if TYPE_CHECKING:
    from havn.appfolder.ids import AppId


def new(
    name: str,
    /,
    *,
    org: Annotated[str, Parameter(name="--org")] = "ttd",
    into: Annotated[Path | None, Parameter(name="--into")] = None,
    json_: JsonOption = False,
) -> None:
    """Make an app folder that runs.

    Parameters
    ----------
    name
        The app's name, or ORG/APP: small letters, digits and hyphens.
    org
        The service owner, when NAME does not say it.
    into
        The folder to make (default: one called like the app, here).
    json_
        Write the folder and the app's id as JSON.
    """
    id_ = app_id(name if "/" in name else f"{org}/{name}")
    folder = into or Path(id_.app)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise Failure(f"{folder} is there already: choose another name, or another place with --into.")
    try:
        write_app(folder / "App", id_, title=id_.app.replace("-", " ").capitalize())
    except OSError as error:
        raise Failure(f"{error.filename} could not be written: {error.strerror}.") from error
    if json_:
        write_json({"app": str(id_), "folder": str(folder)})
        return
    write(f"Made {id_} in {folder}.")
    say(f"Run it with `havn dev {folder}`, then change the files in {folder / 'App'}.")


def write_app(folder: Path, id_: AppId, *, title: str) -> None:
    """Write the files of a new app, its `App` folder, to `folder`. Raises OSError when that cannot be done."""
    words = {"[ORG]": id_.org, "[APP]": id_.app, "[TITLE]": title}
    _copy(files("havn.cli") / "template" / "App", folder, words)


def _copy(source: Traversable, target: Path, words: Mapping[str, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            if item.name != "__pycache__":
                _copy(item, target / item.name, words)
            continue
        text = item.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        (target / item.name).write_text(text, encoding="utf-8")
