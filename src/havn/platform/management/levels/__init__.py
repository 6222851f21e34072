"""Service levels: what the ingresses counted, against what was agreed."""
