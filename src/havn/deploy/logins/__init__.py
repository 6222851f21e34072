"""People and machines that use the control plane: how they show who they are, and the roles they hold.

A person signs in at an OpenID Connect provider by the device flow (RFC 8628), which the control plane carries on for
the command line, and gets a token of the control plane's own. A machine has a token that an administrator made. Of
either only the SHA-256 is kept.
"""
