"""The self-service pages at the host `api.`: the catalogue, asking for plans, keys, usage, answering those who ask.

Drawn on the server, in bokmål, nynorsk and English; every step works without script.
"""
