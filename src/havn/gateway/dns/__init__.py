"""DNS for apps' pods: names of the cluster and the platform's host are asked for, nothing else leaves.

A name that is looked up is a message to whoever serves its zone, so for an app that may reach nothing, DNS would be a
way out. `python -m havn.gateway.dns` answers every other name itself: there is none.
"""
