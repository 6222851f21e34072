"""What a secret may be called, how large it may be, and which names are the runtime's own."""

from __future__ import annotations

import re

from havn.kit.problem import Problem

MOST_CHARACTERS = 64 * 1024
MOST_TOGETHER = 512 * 1024
"""Bytes of all secrets that one app is given: a Kubernetes Secret holds one MiB."""
MOST_SECRETS = 100

OUTBOUND = "egress."
"""What the names of secrets begin with that are the API proxy's alone, for the app's requests out."""

_OUTBOUND = re.compile(r"egress\.[a-z][a-z0-9-]{0,54}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# A file of such a name would be taken for a setting of the runtime.
SETTINGS = frozenset((
    "app", "app-folder", "dependencies", "dev", "domain", "egress-url", "environment", "environment-type",
    "frontend-url", "host", "lock-seconds", "org", "platform-access-key", "platform-url", "port", "release", "scheme",
    "secrets-dir", "tls-dir", "trust-file",
))  # fmt: skip
_VARIABLES = ("HAVN_", "LD_", "PYTHON")


def check_name(name: str) -> None:
    """Raise a 400 `Problem` unless a secret may be called so: it is a file name and a key in a Kubernetes Secret."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise Problem(
            400,
            "A secret's name is 1 to 63 letters, digits, dots, hyphens and underscores, a letter or digit first.",
            code="invalid_secret_name",
        )
    if name.startswith(OUTBOUND) and not _OUTBOUND.fullmatch(name):
        raise Problem(
            400,
            "After `egress.`, a secret of the API proxy is named as in deployment/egress.yaml: small letters, digits "
            "and hyphens, a letter first.",
            code="invalid_secret_name",
        )
    if name.lower() in SETTINGS:
        raise Problem(400, f"{name} is a setting of the runtime: choose another name.", code="reserved_secret_name")


def check_variable(variable: str, *, of: str) -> None:
    """Raise a 400 `Problem` unless the secret `of` may also be an environment variable of this name."""
    if of.startswith(OUTBOUND):
        raise Problem(400, f"{of} is the API proxy's: the app itself is not given it.", code="outbound_secret")
    if not _VARIABLE.fullmatch(variable):
        raise Problem(
            400,
            "An environment variable's name is at most 128 letters, digits and underscores, no digit first.",
            code="invalid_variable",
        )
    if variable.upper().startswith(_VARIABLES) or variable.upper() in ("PATH", "HOME"):
        raise Problem(
            400, f"The environment variable {variable} is not the app's: choose another name.", code="reserved_variable"
        )


def check_value(value: str, *, as_variable: bool) -> None:
    """Raise a 400 or 413 `Problem` unless `value` can be a secret."""
    if not value:
        raise Problem(400, "The value is empty.", code="empty_secret")
    if len(value) > MOST_CHARACTERS:
        raise Problem(413, f"A secret has at most {MOST_CHARACTERS} characters.", code="secret_too_large")
    if as_variable and "\0" in value:
        raise Problem(400, "An environment variable cannot hold a zero character.", code="invalid_secret")
