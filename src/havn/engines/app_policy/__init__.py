"""App policies as people think of them: what rules grant to whom, cases written beside a policy, recorded requests.

Pure, on the XACML engine's own documents and decisions: what is shown and tried is what is decided.
"""
