"""Wire types: what goes over HTTP between the parts, a module per platform API."""
