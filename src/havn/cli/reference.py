"""The reference page of all commands, made from the commands themselves: `python -m havn.cli.reference`."""

from __future__ import annotations

import sys

from havn.cli.main import app


def page() -> str:
    """The page docs/reference/cli.md, as it should be."""
    # The library takes the program's name from the command line for commands inside commands.
    own, sys.argv = sys.argv, ["havn"]
    try:
        return app.generate_docs(heading_level=1).rstrip() + "\n"
    finally:
        sys.argv = own


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
