"""How many replicas an app may be asked to have."""

from __future__ import annotations

from havn.contracts.deploy import Scaling
from havn.kit.problem import Problem

MAX_REPLICAS = 20
_MAX_SECONDS = 3600


def check_replicas(replicas: int) -> None:
    """Raise the 400 `Problem` for a number that is not allowed."""
    if not 0 <= replicas <= MAX_REPLICAS:
        raise Problem(400, f"There may be 0 to {MAX_REPLICAS} replicas.", code="invalid_replicas")


def check_scaling(scaling: Scaling) -> None:
    """Raise the 400 `Problem` for bounds that are not allowed."""
    if not 1 <= scaling.minimum <= scaling.maximum <= MAX_REPLICAS:
        raise Problem(
            400, f"The bounds are 1 to {MAX_REPLICAS} replicas, the least not above the most.", code="invalid_replicas"
        )
    if not 1 <= scaling.cpu <= 100:
        raise Problem(400, "The CPU to be used is 1 to 100 percent.", code="invalid_cpu")
    if not (0 <= scaling.up_seconds <= _MAX_SECONDS and 0 <= scaling.down_seconds <= _MAX_SECONDS):
        raise Problem(400, f"The load is looked at over 0 to {_MAX_SECONDS} seconds.", code="invalid_seconds")
