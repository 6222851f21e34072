"""What a caller is told: how much is left, and why a request was not let through.

`RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), with its problem types;
`Retry-After` as in RFC 9110. Seconds, never moments.
"""

from __future__ import annotations

from typing import Any

from havn.contracts.management import KEY_HEADER
from havn.guard.metering.allowance import Allowance
from havn.guard.metering.consumers import Consumer, LimitSet
from havn.guard.metering.portions import Refusal
from havn.guard.metering.table import Entry, Header
from havn.kit.problem import Problem

_TYPES = "https://iana.org/assignments/http-problem-types#"
_CHALLENGE = {"WWW-Authenticate": f'ApiKey realm="managed API", header="{KEY_HEADER}"'}
_CONCURRENT_WAIT = 1
_AWAY_WAIT = 2


def limit_headers(found: LimitSet, now: float, *, legacy: bool) -> list[Header]:
    """The policies that count the request, and the tightest of them as it is now."""
    limits = found.limits
    tightest = limits[0]
    left = tightest.remaining + tightest.units
    for each in limits:
        if (other := each.remaining + each.units) < left:
            tightest, left = each, other
    return _headers(found.policy, tightest, left, now, legacy=legacy)


def _headers(policy: bytes, tightest: Allowance, left: int, now: float, *, legacy: bool) -> list[Header]:
    # Less may be left than was, after a plan was made smaller.
    left = min(left, tightest.most)
    if tightest.slots or left == tightest.most:
        wait = _CONCURRENT_WAIT
        item = b'"%b";r=%d' % (tightest.label, left)
    else:
        wait = tightest.wait(now)
        item = b'"%b";r=%d;t=%d' % (tightest.label, left, wait)
    headers: list[Header] = [(b"ratelimit-policy", policy), (b"ratelimit", item)]
    if legacy:
        headers += [
            (b"x-ratelimit-limit", b"%d" % tightest.most),
            (b"x-ratelimit-remaining", b"%d" % left),
            (b"x-ratelimit-reset", b"%d" % wait),
        ]
    return headers


def refused(found: LimitSet, refusal: Refusal, now: float, *, legacy: bool) -> tuple[Problem, list[Header]]:
    """429 when limits are reached, 503 when they cannot be asked about; and the headers of the worst of them."""
    names = [each.name for each in refusal.limits]
    if refusal.away:
        problem = Problem(
            503,
            "How much is left of your limits cannot be found out just now. Try again in a moment.",
            title="Request cannot be satisfied due to temporary server capacity constraints",
            code="counters_unavailable",
            headers={"Retry-After": str(_AWAY_WAIT)},
            **_members("temporary-reduced-capacity", names),
        )
        return problem, [(b"ratelimit-policy", found.policy)]
    worst, wait = refusal.limits[0], 0
    for each in refusal.limits:
        other = _CONCURRENT_WAIT if each.slots else each.wait(now)
        if other > wait:
            worst, wait = each, other
    detail = (
        f"You have {worst.most} requests under way, as many as your plan allows at once."
        if worst.slots
        else f"You have used up {worst.name}. There is more in {wait} {'second' if wait == 1 else 'seconds'}."
    )
    problem = Problem(
        429,
        detail,
        title="Request cannot be satisfied as assigned quota has been exceeded",
        code="too_many_at_once" if worst.slots else "limit_reached",
        headers={"Retry-After": str(wait)},
        **_members("quota-exceeded", names),
    )
    return problem, _headers(found.policy, worst, 0, now, legacy=legacy)


def _members(kind: str, names: list[str]) -> dict[str, Any]:
    return {"type": f"{_TYPES}{kind}", "violated-policies": names}


def key_needed() -> Problem:
    """401: an Api that is open to nobody without a key."""
    return Problem(401, f"Send your key in the header {KEY_HEADER}.", code="key_needed", headers=_CHALLENGE)


def key_unknown() -> Problem:
    """401: nobody has this key."""
    return Problem(
        401, "The key is not known. Look whether all of it was sent.", code="key_unknown", headers=_CHALLENGE
    )


def key_ended(state: str) -> Problem:
    """401: it was revoked, or its time is over."""
    sentence = "The key was revoked." if state == "revoked" else "The key has expired."
    return Problem(401, f"{sentence} Use your other key, or make a new one.", code=f"key_{state}", headers=_CHALLENGE)


def keys_differ() -> Problem:
    """401: two different keys."""
    return Problem(401, "Two different keys were sent: send one.", code="keys_differ", headers=_CHALLENGE)


def key_in_query() -> Problem:
    """400: a key in the address, which ends up in logs and histories."""
    return Problem(
        400,
        f"Send the key in the header {KEY_HEADER}, never in the address: addresses are written to logs. "
        "This key has been shown to others on its way: make a new one.",
        code="key_in_query",
    )


_STATES = {
    "pending": "The subscription has not been approved yet.",
    "rejected": "The subscription was not approved.",
    "suspended": "The subscription is suspended: the owner of the API can tell why.",
    "revoked": "The subscription was ended by the owner of the API.",
    "expired": "The subscription has expired.",
}


def not_active(state: str) -> Problem:
    """403: the key is right, the subscription is not in force."""
    return Problem(403, _STATES.get(state, "The subscription is not active."), code=f"subscription_{state}")


def other_api() -> Problem:
    """403: the key is for something else."""
    return Problem(403, "The key is for another API than this.", code="key_for_other_api")


def not_covered(consumer: Consumer) -> Problem:
    """403: the plan opens only a part of the Api."""
    return Problem(403, f"The plan {consumer.plan.name} does not cover this.", code="not_in_plan")


def retired(entry: Entry) -> Problem:
    """410: the Api has ended."""
    successor = entry.api.successor
    sentence = "This version of the API has been retired." + (f" Use {successor}." if successor else "")
    members: dict[str, Any] = {"successor": successor} if successor else {}
    return Problem(410, sentence, code="api_retired", **members)
