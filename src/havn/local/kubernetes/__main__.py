"""`python -m havn.local.kubernetes FOLDER`: build the toolchain whose Go module lies there, and print where it is."""

import sys
from pathlib import Path

from havn.local.kubernetes.toolchain import Toolchain, ToolchainError

try:
    print(Toolchain.ensure(Path(sys.argv[1]), say=lambda step: print(step, file=sys.stderr)).programs)  # noqa: T201
except ToolchainError as error:
    sys.exit(str(error))
