"""What an app may reach: the rules of `deployment/egress.yaml`, validated, and matched against a request. Pure."""

from havn.engines.egress_policy.addresses import Networks, networks, refusal
from havn.engines.egress_policy.matching import Policy, Request, Verdict
from havn.engines.egress_policy.model import EgressPolicy, schema
from havn.engines.egress_policy.names import host_fault, path_fault
from havn.engines.egress_policy.validation import Fault, faults

__all__ = [
    "EgressPolicy", "Fault", "Networks", "Policy", "Request", "Verdict", "faults", "host_fault", "networks",
    "path_fault", "refusal", "schema",
]  # fmt: skip
