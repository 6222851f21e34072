"""Which control plane a command speaks to, and as whom: the one that is named, else the one that runs here.

Signed-in sessions are kept in a file that only its owner can read, one for each address.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from havn.cli.output import Failure

if TYPE_CHECKING:
    import ssl

    from havn.kit.http import HttpClient

CONSOLE = "HAVN_CONSOLE"
TOKEN = "HAVN_TOKEN"  # noqa: S105  (the variable's name)


class Login(msgspec.Struct, frozen=True):
    """A session, as it is kept."""

    token: str
    expires: datetime
    name: str

    def __repr__(self) -> str:
        return f"Login({self.name!r})"


def choose(arguments: Sequence[str]) -> list[str]:
    """Take `--console URL` out of a command line, wherever it stands before a `--`, and remember it."""
    left: list[str] = []
    rest = iter(arguments)
    for each in rest:
        if each == "--":
            return [*left, each, *rest]
        if each == "--console":
            os.environ[CONSOLE] = next(rest, "")
        elif each.startswith("--console="):
            os.environ[CONSOLE] = each.partition("=")[2]
        else:
            left.append(each)
    return left


def address(text: str) -> str:
    """A control plane's address, as sessions are kept under. Raises `Failure`."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise Failure(f"{text[:100]!r} is not a control plane's address: give one such as https://console.example.no.")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise Failure(f"{text[:100]} would send your token in clear: use https.")
    return f"{parts.scheme}://{parts.netloc}"


def connect(where: str) -> HttpClient:
    """A client for the control plane at `where`; names under `.localhost` are this machine."""
    from havn.kit.http import HttpClient

    parts = urlsplit(where)
    host = parts.hostname or ""
    if host.endswith(".localhost"):
        # glibc does not resolve them.
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return HttpClient(f"{parts.scheme}://127.0.0.1:{port}", name="The control plane", host=parts.netloc, timeout=40)
    return HttpClient(where, name="The control plane", timeout=40, verify=_believed())


@asynccontextmanager
async def chosen(state: Path | None) -> AsyncIterator[tuple[HttpClient, str]]:
    """The control plane to speak to, and the token to show it. Raises `Failure`."""
    from havn.cli.where import reach, state_folder
    from havn.kit.http import HttpClient

    named = os.environ.get(CONSOLE)
    if named:
        where = address(named)
        token = os.environ.get(TOKEN) or _session(where)
        http = connect(where)
    else:
        path = state_folder(state) / "token"
        found = reach(state)
        try:
            token = path.read_text().strip()
        except OSError as error:
            raise Failure(
                f"{path} cannot be read ({error.strerror}): only who started the platform may use it."
            ) from None
        http = HttpClient(found.console, name="The control plane", timeout=40, verify=False)
    try:
        yield http, token
    finally:
        await http.close()


def _believed() -> ssl.SSLContext | bool:
    """The system's authorities, or those that the variables of OpenSSL name: for this machine's user alone."""
    import ssl

    return ssl.create_default_context() if {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys() else True


def logins() -> dict[str, Login]:
    """The sessions of this user, by address."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Login])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError):
        raise Failure(f"{_file()} cannot be read: remove it, and sign in again.") from None


def keep(found: dict[str, Login]) -> Path:
    """Write the sessions, readable by their owner alone."""
    path = _file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(found))
        fresh.replace(path)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.") from None
    return path


def _session(where: str) -> str:
    found = logins().get(where)
    if found is None:
        raise Failure(f"Nobody is signed in to {where}: use `havn login {where}`, or set {TOKEN}.")
    if found.expires <= datetime.now(found.expires.tzinfo):
        raise Failure(f"Your sign-in to {where} has ended: use `havn login {where}`.")
    return found.token


def _file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "havn", "logins.json")


def _is_here(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
