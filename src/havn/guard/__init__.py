"""What stands before every handler, in apps and platform APIs alike: who is calling, and may they.

`tokens` and `middleware` establish the caller (RFC 7519, RFC 6750), `platform_token` the calling component, `pep` asks
for decisions (the policy enforcement point of XACML 3.0), `antiforgery` guards browser sessions against forged posts.
"""
