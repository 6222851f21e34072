"""The reference page of all commands, made from the commands themselves: `python -m havn.cli.reference`."""

from __future__ import annotations

from havn.cli.main import app


def page() -> str:
    """The page docs/reference/cli.md, as it should be."""
    return app.generate_docs(heading_level=1).rstrip() + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
