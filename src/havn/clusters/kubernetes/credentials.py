"""How a cluster is reached and with what right: read from somebody's kubeconfig, kept as plain values, written as ours.

A kubeconfig may name programs to run and files to read. Only its owner's own machine may do that; what reaches the
control plane is an address, a certificate authority, and a token or a client certificate, and nothing else.
"""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from havn.clusters.port import ClusterError

_MAX = 256 * 1024


class Credentials(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An API server and who we are to it."""

    server: str
    authority: str | None = None
    """PEM."""
    server_name: str | None = None
    token: str | None = None
    certificate: str | None = None
    key: str | None = None
    """PEM, both."""

    def __repr__(self) -> str:
        return f"Credentials({self.server!r})"

    def check(self) -> None:
        """Raise a `ClusterError` for what cannot be used, before anything is tried with it."""
        parts = urlsplit(self.server)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise ClusterError("The address of the API server must be https://HOST or https://HOST:PORT.")
        if (self.token is None) == (self.certificate is None):
            raise ClusterError("A cluster is reached with a token, or with a client certificate and its key: give one.")
        if (self.certificate is None) != (self.key is None):
            raise ClusterError("A client certificate and its key belong together: give both.")
        if self.token is not None and (not self.token.isprintable() or not self.token.isascii() or not self.token):
            raise ClusterError("The token holds characters that no token has.")
        for name, value in (("certificate authority", self.authority), ("client certificate", self.certificate)):
            if value is None:
                continue
            try:
                ssl.create_default_context(cadata=value)
            except (ssl.SSLError, ValueError):
                raise ClusterError(f"The {name} is not a PEM certificate.") from None

    def write(self, folder: Path) -> Path:
        """Write a kubeconfig and its files into the new, private `folder`; returns its path."""
        folder.mkdir(mode=0o700, parents=True)
        cluster: dict[str, str] = {"server": self.server}
        user: dict[str, str] = {}
        if self.authority is not None:
            cluster["certificate-authority"] = str(_private(folder / "authority.pem", self.authority))
        if self.server_name is not None:
            cluster["tls-server-name"] = self.server_name
        if self.token is not None:
            user["token"] = self.token
        if self.certificate is not None and self.key is not None:
            user["client-certificate"] = str(_private(folder / "client.pem", self.certificate))
            user["client-key"] = str(_private(folder / "client.key", self.key))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "havn"}}],
            "users": [{"name": "havn", "user": user}],
        }
        # JSON is YAML too.
        return _private(folder / "config", msgspec.json.encode(config).decode())


def read_kubeconfig(path: Path, context: str | None = None, *, token: str | None = None) -> tuple[Credentials, str]:
    """What a kubeconfig's context says, its files read in, and the context's namespace. Raises `ClusterError`.

    With `token`, only the cluster's address and authority come from there, and nothing of its user.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClusterError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > _MAX:
        raise ClusterError(f"{path} is too large to be a kubeconfig.")
    try:
        document = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise ClusterError(f"{path} is not a kubeconfig: it is not YAML.") from None
    if not isinstance(document, dict) or "clusters" not in document:
        raise ClusterError(f"{path} is not a kubeconfig: it has no clusters.")
    name = context or document.get("current-context")
    if not name:
        raise ClusterError(f"{path} has no current context: say which with --context.")
    chosen = _named(document, "contexts", "context", str(name), path)
    cluster = _named(document, "clusters", "cluster", str(chosen.get("cluster")), path)
    user = _named(document, "users", "user", str(chosen.get("user")), path) if token is None else {"token": token}
    if "exec" in user or "auth-provider" in user:
        raise ClusterError(
            f"The context {name} of {path} gets its token from a program on your machine, which the control plane "
            "cannot run: make a service account and give its token, as docs/how-to/add-a-cluster.md shows."
        )
    if cluster.get("insecure-skip-tls-verify"):
        raise ClusterError(f"The context {name} of {path} does not check the server's certificate: give its authority.")
    if "username" in user or "password" in user:
        raise ClusterError(f"The context {name} of {path} uses a password, which Kubernetes no longer takes.")
    token = user.get("token")
    if token is None and user.get("tokenFile"):
        token = _file(path, str(user["tokenFile"])).strip()
    found = Credentials(
        server=str(cluster.get("server", "")),
        authority=_pem(path, cluster, "certificate-authority"),
        server_name=cluster.get("tls-server-name"),
        token=None if token is None else str(token),
        certificate=None if token is not None else _pem(path, user, "client-certificate"),
        key=None if token is not None else _pem(path, user, "client-key"),
    )
    found.check()
    return found, str(chosen.get("namespace") or "default")


def _named(document: dict[str, Any], kind: str, member: str, name: str, path: Path) -> dict[str, Any]:
    entries = document.get(kind)
    listed = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    for each in listed:
        if each.get("name") == name and isinstance(each.get(member), dict):
            return dict(each[member])
    known = [str(each.get("name")) for each in listed]
    raise ClusterError(f"{path} has no {member} {name}: it has {', '.join(known) or 'none'}.")


def _pem(path: Path, entry: dict[str, Any], name: str) -> str | None:
    data = entry.get(f"{name}-data")
    if data:
        try:
            return base64.b64decode(str(data), validate=True).decode()
        except ValueError:
            raise ClusterError(f"{name}-data in {path} is not base64 of a PEM text.") from None
    return _file(path, str(entry[name])) if entry.get(name) else None


def _file(kubeconfig: Path, name: str) -> str:
    path = kubeconfig.parent / name
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        raise ClusterError(f"{path}, which {kubeconfig} names, cannot be read.") from None
    return text


def _private(path: Path, text: str) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return path
