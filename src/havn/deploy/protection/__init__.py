"""What an operator shuts at an ingress: apps in maintenance, and abusive clients."""
