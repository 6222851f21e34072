"""What the control plane stands above: orgs, environments, and the clusters in which the one's apps run in the other.

Their rows are asked anew each time, so that a change holds at once in every process of the control plane. Credentials
are sealed (age) with an identity that lies outside the database, and are in no answer and no log.
"""
