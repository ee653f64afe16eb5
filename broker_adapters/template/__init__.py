"""A whole adapter for a venue that does not exist: copy the folder, and put a real venue behind `venue.py`."""
