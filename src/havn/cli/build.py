"""`havn build`: a signed release of an app, in a registry folder."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from havn.cli.check import run_check, show_findings
from havn.cli.output import Failure, JsonOption, counted, say, write, write_json
from havn.cli.platform import AsOption, StateOption, app_id, state_folder

if TYPE_CHECKING:
    from havn.deploy.registry import Registry
    from havn.deploy.release.build import Built


def build(
    path: Path = Path(),
    /,
    *,
    as_: AsOption = None,
    registry: Annotated[Path | None, Parameter(name="--registry")] = None,
    key: Annotated[Path | None, Parameter(name="--key")] = None,
    commit: Annotated[str | None, Parameter(name="--commit")] = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Check an app folder and make its release: the same files always give the same digest.

    With HAVN_REGISTRY_URL set, the release is sent there too, where a control plane elsewhere reads it;
    HAVN_REGISTRY_USER and HAVN_REGISTRY_PASSWORD sign in there.

    Parameters
    ----------
    path
        The folder that holds App/, or App/ itself.
    as_
        ORG/APP, for a template with [ORG]/[APP] in it.
    registry
        Folder of OCI image layouts to store the release in (default: the state folder's own).
    key
        File with the org's private signing key in PEM form (default: the key kept in the state folder).
    commit
        Commit to record (default: the one that last changed the folder, when it is in git and unchanged).
    json_
        Write the release's digest and the rest as JSON.
    """
    began = time.perf_counter()
    built = make_release(path, as_, registry=registry, key=key, commit=commit, state=state)
    release = built.release
    if json_:
        write_json(
            {
                "app": release.repository,
                "digest": release.digest,
                "size": built.size,
                "existed": built.existed,
                "labels": release.config.labels,
            }
        )
        return
    known = ", as before" if built.existed else ""
    say(f"Built {release.repository} in {time.perf_counter() - began:.2f} s, {built.size / 1000:.1f} kB{known}.")
    write(release.digest)


def make_release(
    path: Path,
    as_: str | None,
    *,
    registry: Path | None = None,
    key: Path | None = None,
    commit: str | None = None,
    state: Path | None = None,
) -> Built:
    """Check and build. Raises `Failure`; findings are said on the way."""
    from havn.appfolder import AppFolder, AppFolderError
    from havn.appfolder.ids import AppId
    from havn.deploy.registry import RegistryError
    from havn.deploy.registry.layout import LayoutRegistry
    from havn.deploy.release.build import build as build_release
    from havn.deploy.release.build import commit_of
    from havn.deploy.release.model import ReleaseError
    from havn.deploy.release.signing import SigningKey
    from havn.kit.settings import SettingsError
    from havn.local.keyring import LocalKeyring
    from havn.local.secrets import SecretsError, SecretStore
    from havn.local.state import State, StateError

    findings = run_check(path, as_)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        show_findings(errors, say)
        raise Failure(f"{path} has {counted(len(errors), 'error')}: no release was made.")
    id_ = app_id(as_) if as_ is not None else None
    try:
        folder = AppFolder.read(path, as_=id_)
    except AppFolderError as error:
        show_findings(list(error.findings), say)
        raise Failure(f"{path} cannot be used: no release was made.") from None
    if "[" in folder.id:
        raise Failure(f"{path} is a template: say whose app it shall be with --as ORG/APP.")
    own = State(state_folder(state))
    folder_registry = LayoutRegistry(registry or own.registry)
    try:
        if registry is None or key is None:
            own.prepare()
        signing = (
            SigningKey(_key(key)) if key is not None else LocalKeyring(SecretStore(own.secrets)).signing_key(folder.org)
        )
        built = asyncio.run(
            build_release(
                folder.root,
                AppId(folder.org, folder.app),
                registry=folder_registry,
                key=signing,
                cache=own.cache,
                commit=commit or commit_of(folder.root),
            )
        )
        asyncio.run(send_release(folder_registry, built.release.repository, built.release.digest))
        return built
    except (ReleaseError, RegistryError, SettingsError, StateError, SecretsError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"The release could not be written: {error.strerror} ({error.filename}).") from error


async def send_release(source: Registry, repository: str, digest: str) -> None:
    """Put a release where a control plane elsewhere finds it: the registry that `HAVN_REGISTRY_URL` names, if any.

    Only what is missing there is sent. Raises `RegistryError` and `SettingsError`.
    """
    from havn.deploy.estate.tools import connect
    from havn.deploy.image.send import send
    from havn.deploy.settings import ToolSettings
    from havn.kit import settings

    found = connect(settings.load(ToolSettings))
    if found is None:
        return
    target, client = found
    try:
        sent = await send(source, target, repository, digest)
    finally:
        await client.close()
    if sent:
        say(f"Sent {sent / 1000:.1f} kB to the registry.")


def _key(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"{file} cannot be read: give the file with the org's private signing key.") from None
