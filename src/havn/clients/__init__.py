"""A typed async client per platform API, used by apps and by tools alike."""
