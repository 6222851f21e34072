"""XACML 3.0 decision engine: loads policies, compiles them once, decides requests and explains the decisions.

Pure: no input or output, no clock; texts, referenced policies and the current instant are handed in.

    document = load_policy(xml, source="policy.xml")          # PolicyError with line and rule when it is refused
    policy = compile_policy(document)                         # once per policy, kept in a PolicyCache
    asked = json_profile.read(body, now=now)                  # or xml_profile.read, or Request.of([...])
    results = decide(policy, asked)                           # or policy.decide(request), policy.decide_many([...])
    reply = json_profile.write(results, style="camel")        # or xml_profile.write(results)
    policy.explain(request)                                   # which policy, rule, match and attribute decided

Standards: OASIS XACML 3.0 core (with errata 01), multiple decision profile 1.0, JSON profile 1.0 and 1.1.
"""

from havn.engines.xacml import json_profile, xml_profile
from havn.engines.xacml.cache import PolicyCache
from havn.engines.xacml.engine import CompiledPolicy, combined, compile_policy, decide
from havn.engines.xacml.errors import MissingAttribute, PolicyError, RequestError
from havn.engines.xacml.explanation import Explanation
from havn.engines.xacml.limits import Limits
from havn.engines.xacml.lint import Finding, Surroundings, lint
from havn.engines.xacml.loader import load_policy
from havn.engines.xacml.model import (
    Assignment,
    Attribute,
    Bag,
    Decision,
    DecisionRequest,
    Effect,
    Obligation,
    PolicyIdentifier,
    Request,
    Result,
    Status,
)
from havn.engines.xacml.policy import Policy, PolicyDocument, PolicySet, Reference, Rule
from havn.engines.xacml.references import Resolver, repository
from havn.engines.xacml.tables import PolicyDiff, PolicyTable, diff, table

__all__ = [
    "Assignment",
    "Attribute",
    "Bag",
    "CompiledPolicy",
    "Decision",
    "DecisionRequest",
    "Effect",
    "Explanation",
    "Finding",
    "Limits",
    "MissingAttribute",
    "Obligation",
    "Policy",
    "PolicyCache",
    "PolicyDiff",
    "PolicyDocument",
    "PolicyError",
    "PolicyIdentifier",
    "PolicySet",
    "PolicyTable",
    "Reference",
    "Request",
    "RequestError",
    "Resolver",
    "Result",
    "Rule",
    "Status",
    "Surroundings",
    "combined",
    "compile_policy",
    "decide",
    "diff",
    "json_profile",
    "lint",
    "load_policy",
    "repository",
    "table",
    "xml_profile",
]
