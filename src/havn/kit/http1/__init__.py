"""HTTP/1.1 on the wire (RFC 9112) for gateways: strict heads, exact body framing, streaming relay in both directions.

Strict because two readers of one byte stream must never disagree about where a message ends: whatever the standard
lets a server refuse, and whatever two implementations are known to read differently, is refused here.
"""
