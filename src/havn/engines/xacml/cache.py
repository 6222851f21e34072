"""A bounded store of compiled policies: a decision costs the same whether one policy is known or ten thousand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from havn.engines.xacml.engine import CompiledPolicy
from havn.engines.xacml.policy import Policy, PolicySet


class PolicyCache:
    """Compiled policies by digest; the least recently used go when there are too many policies or rules.

    A digest names a text for good, so nothing here ever gets stale: a new version has another digest. The caller
    derives the key when a policy has references, from the digests of all texts.
    """

    def __init__(self, *, policies: int = 2_000, rules: int = 100_000) -> None:
        self._policies = policies
        self._rules = rules
        self._held: OrderedDict[str, tuple[CompiledPolicy, int]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, digest: str, compile_it: Callable[[], CompiledPolicy]) -> CompiledPolicy:
        """The policy with this digest, compiled now if it is not held."""
        held = self._held.get(digest)
        if held is not None:
            with self._lock:
                if digest in self._held:
                    self._held.move_to_end(digest)
            return held[0]
        policy = compile_it()
        weight = _rules(policy.root) + sum(_rules(part) for part in policy.references.values())
        with self._lock:
            before = self._held.pop(digest, None)
            self._weight += weight - (before[1] if before else 0)
            self._held[digest] = (policy, weight)
            while len(self._held) > 1 and (len(self._held) > self._policies or self._weight > self._rules):
                _, (_, gone) = self._held.popitem(last=False)
                self._weight -= gone
        return policy

    def drop(self, digest: str) -> None:
        """Forget a policy."""
        with self._lock:
            held = self._held.pop(digest, None)
            self._weight -= held[1] if held else 0


def _rules(part: Policy | PolicySet) -> int:
    if isinstance(part, Policy):
        return 1 + len(part.rules)
    return 1 + sum(_rules(child) for child in part.children if isinstance(child, Policy | PolicySet))
