"""Service levels, the pure part: access records read, counted, and turned into figures. Nothing is sampled.

A record becomes a count in one cell (org, app, version, subscription, minute, planned or not); cells add up to hours,
days and months without loss, since everything in them is a whole number.
"""
