"""The combining algorithms by identifier (core appendix C and B.9), and which are legacy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_X = "urn:oasis:names:tc:xacml:"


class Algorithm(msgspec.Struct, frozen=True):
    """A combining algorithm: `name` without the word ordered, since this engine always keeps document order.

    `legacy` ones have the weaker treatment of errors of XACML 2.0 and are deprecated.
    """

    id: str
    name: str
    legacy: bool = False


DENY_OVERRIDES: Final = "deny-overrides"
PERMIT_OVERRIDES: Final = "permit-overrides"
DENY_UNLESS_PERMIT: Final = "deny-unless-permit"
PERMIT_UNLESS_DENY: Final = "permit-unless-deny"
FIRST_APPLICABLE: Final = "first-applicable"
ONLY_ONE_APPLICABLE: Final = "only-one-applicable"
ON_PERMIT_APPLY_SECOND: Final = "on-permit-apply-second"


def _algorithms(kind: str) -> dict[str, Algorithm]:
    found: list[Algorithm] = []
    for name in (DENY_OVERRIDES, PERMIT_OVERRIDES):
        found += [
            Algorithm(f"{_X}3.0:{kind}-combining-algorithm:{name}", name),
            Algorithm(f"{_X}3.0:{kind}-combining-algorithm:ordered-{name}", name),
            Algorithm(f"{_X}1.0:{kind}-combining-algorithm:{name}", name, legacy=True),
            Algorithm(f"{_X}1.1:{kind}-combining-algorithm:ordered-{name}", name, legacy=True),
        ]
    found += [
        Algorithm(f"{_X}3.0:{kind}-combining-algorithm:{name}", name)
        for name in (DENY_UNLESS_PERMIT, PERMIT_UNLESS_DENY)
    ]
    found.append(Algorithm(f"{_X}1.0:{kind}-combining-algorithm:{FIRST_APPLICABLE}", FIRST_APPLICABLE))
    if kind == "policy":
        found.append(Algorithm(f"{_X}1.0:policy-combining-algorithm:{ONLY_ONE_APPLICABLE}", ONLY_ONE_APPLICABLE))
        found.append(Algorithm(f"{_X}3.0:policy-combining-algorithm:{ON_PERMIT_APPLY_SECOND}", ON_PERMIT_APPLY_SECOND))
    return {algorithm.id: algorithm for algorithm in found}


POLICY_ALGORITHMS: Final = _algorithms("policy")
"""What a policy set may name."""

_PLAIN_RULE_ALGORITHMS = _algorithms("rule")

RULE_ALGORITHMS: Final[Mapping[str, Algorithm]] = _PLAIN_RULE_ALGORITHMS | {
    # Delegation policies of the Altinn kind name the policy form on a policy of rules: the meaning is plain.
    algorithm.id: Algorithm(algorithm.id, algorithm.name, algorithm.legacy)
    for algorithm in POLICY_ALGORITHMS.values()
    if algorithm.id.replace("policy-combining", "rule-combining") in _PLAIN_RULE_ALGORITHMS
}
"""What a policy may name."""
