"""From one environment to the next: the same bytes, after another's approval where the environment asks for it."""
