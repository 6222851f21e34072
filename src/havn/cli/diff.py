"""`havn diff`: what a deploy would change, and which open instances it would strand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from havn.cli.deploy import chosen_release
from havn.cli.output import AnswerOption, write, write_json
from havn.cli.platform import LOCAL, AsOption, EnvOption, StateOption, control_plane

if TYPE_CHECKING:
    from havn.contracts.difference import Difference, FileChange, ValueChange

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "gained": "+", "lost": "-"}
_MOST = 60


def diff(
    what: str,
    /,
    *,
    env: Annotated[EnvOption, Parameter(help="The environment to compare with.")] = LOCAL,
    release: Annotated[str | None, Parameter(name=["--release", "-r"])] = None,
    path: Annotated[Path | None, Parameter(name="--path")] = None,
    text: Annotated[bool, Parameter(name="--text", negative="")] = False,
    as_: AsOption = None,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show what a deploy would change: files, settings, values, policy, outbound rules, metadata, texts and process.

    It names the open instances that the release has no place for. Nothing is changed.

    Parameters
    ----------
    what
        ORG/APP, or an app folder, which is built first.
    release
        Digest of the release; without it and without --path, the newest release of ORG/APP in the registry.
    path
        App folder to build for ORG/APP.
    text
        Show the changed lines of text files.
    as_
        ORG/APP, when WHAT is a folder with a template in it.
    """
    org, app, digest = chosen_release(what, release, path, as_, state)

    async def ask() -> Difference:
        async with control_plane(state) as client:
            return await client.difference(env, org, app, digest, text=text)

    found = asyncio.run(ask())
    if json_:
        write_json(found)
        return
    before = _short(found.before) if found.before else "nothing"
    write(f"{org}/{app} in {env}: {before} becomes {_short(found.after)}.")
    if found.same:
        write("Nothing changes.")
    _files(found.files, found.files_left_out)
    _rights(found)
    for title, changes in (
        ("Process", found.process), ("Metadata", found.metadata), ("Settings", found.settings),
        ("Values", found.values), ("Outbound rules", found.egress), ("Texts", found.texts),
    ):  # fmt: skip
        _values(title, changes)
    for each in found.stranded:
        kind = {"task": "stand in the task", "dataType": "hold data of the type"}.get(
            each.what, "hold data without a schema, of the type"
        )
        write(f"! {each.count} open instances {kind} {each.id}, which the release does not have:")
        for number in each.sample:
            write(f"    {number}")


def _files(changes: Sequence[FileChange], left_out: int) -> None:
    if changes:
        write("Files")
    for each in changes:
        sizes = " → ".join(f"{size} bytes" for size in (each.before, each.after) if size is not None)
        write(f"  {_SIGNS[each.change]} {each.path}  {sizes}")
        for line in (each.text or "").splitlines():
            write(f"      {line}")
    if left_out:
        write(f"  and {left_out} more")


def _rights(found: Difference) -> None:
    if found.policy.rights:
        write("Policy")
    for each in found.policy.rights:
        sign = _SIGNS.get(each.change, "~")
        write(f"  {sign} {each.subject}, {each.place}: {each.action}  {each.was} → {each.becomes}")
    for note in found.policy.notes:
        write(f"  Note: {note}.")


def _values(title: str, changes: Sequence[ValueChange]) -> None:
    if changes:
        write(title)
    for each in changes[:_MOST]:
        sign = "+" if each.before is None else "-" if each.after is None else "~"
        sides = " → ".join(_shown(value) for value in (each.before, each.after) if value is not None)
        write(f"  {sign} {each.place}: {sides}")
    if len(changes) > _MOST:
        write(f"  and {len(changes) - _MOST} more, which --json shows")


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:80]}…"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
