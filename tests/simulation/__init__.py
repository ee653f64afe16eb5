"""Simulation: EMS, paper broker, clients and market in one process on virtual time, by seeds. `python -m simulation`,
which is what `make simulate` runs.
"""
