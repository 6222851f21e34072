"""The test identity provider as a process of its own: `python -m havn.local.oidc`, for test environments."""

from __future__ import annotations

from havn.kit import component

if __name__ == "__main__":
    component.run("havn.local.oidc.app", title="havn login")
