"""A small, real OpenID Connect provider for the embedded platform: its people are synthetic, its protocol is not.

Authorization code flow with PKCE (RFC 7636), pushed requests (RFC 9126) and private_key_jwt (RFC 7523), so that the
platform signs people in here exactly as it does anywhere else. It refuses to start in production, and outside the
environment `local` unless it is told to be open to all.
"""
