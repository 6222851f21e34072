"""The Register API: parties (persons, organisations, self-identified users), who they are and which roles they hold.

A party is anyone who can own an instance. It has three keys: `partyId` (a number, everywhere in addresses),
`partyUuid` (stable), and the number of the national or business register. Facts come in through one import door; other
parts read them over HTTP.
"""
