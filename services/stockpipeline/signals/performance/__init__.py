"""What each signal would have earned, honestly: entered after it was there to be seen, after costs.

``horizon`` says when a return is taken, ``position`` follows one signal, ``book`` all open ones of a symbol
and ``judge`` those of all symbols; ``benchmark`` has the prices that they are compared with, ``record`` is
what goes to the topic, ``statistics`` and ``aggregate`` sum up. docs/performance.md explains the figures.
"""
