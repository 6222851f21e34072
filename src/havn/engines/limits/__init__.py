"""How much a caller may do: rates (GCRA), calendar quotas, which requests a limit counts, how much to lease. Pure."""

from havn.engines.limits.bucket import Bucket, Ledger, Taken, take
from havn.engines.limits.calendar import ZONE, Span, span
from havn.engines.limits.matching import Matcher, matcher
from havn.engines.limits.portions import Demand, share

__all__ = [
    "ZONE", "Bucket", "Demand", "Ledger", "Matcher", "Span", "Taken", "matcher", "share", "span", "take",
]  # fmt: skip
