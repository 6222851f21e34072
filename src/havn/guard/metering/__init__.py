"""API management where requests are received: whose key it is, what the plan allows, how much is left.

`middleware` stands in the path of every request; `consumers` knows keys and plans; `portions` holds what has been
leased of each limit; `following` hears of changes. A request that finds its key verified and a portion at hand waits
for nobody.
"""
