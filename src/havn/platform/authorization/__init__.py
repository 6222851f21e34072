"""Authorization: who may do what, decided by policy (OASIS XACML 3.0), and how that is administered.

The policy decision point (`pdp`) answers requests; the context handler (`pip`) completes them with roles from register,
packages and delegations; the policy retrieval point (`prp`) finds the app's policy in force; the policy administration
point (`policies`, `delegations`) keeps versions of policies and the rights people pass on. `decision_log` remembers
what was decided, `changes` tells every enforcement point what it must no longer believe.
"""
