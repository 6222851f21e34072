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
