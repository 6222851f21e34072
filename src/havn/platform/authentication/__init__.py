"""The Authentication API: turns a proof from elsewhere into the platform's own token, and holds the browser session.

Not an identity provider: people sign in with OpenID Connect (code flow with PKCE) at one, systems bring tokens of one
(OAuth 2.0). The tokens made here are JWTs (RFC 7519) that every app and platform API verifies by the published keys.
"""
