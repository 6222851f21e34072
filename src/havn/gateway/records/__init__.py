"""The sender of access records: follows an ingress's log, counts every request, and gives the counts to management.

It reads what our own ingress writes and what Traefik writes, and depends on neither.
"""
