"""The gateways: ingress (the way in), egress (the only way out), management (keys, plans, quotas)."""
