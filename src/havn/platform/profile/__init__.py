"""The Profile API: users, their preferences, and their groups of parties.

Names and numbers come from Register; profile owns what a user has chosen.
"""
