"""Chaos: a whole stack of real processes under load, killed, frozen and cut off at random, and a checker that joins
what every part wrote down. `python -m chaos --kills 20 --seed 1`, which is what `make chaos` runs.
"""
