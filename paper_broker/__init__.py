"""The paper broker: an independent counterparty that serves the broker contract and looks exactly like a live one.

It outlives the EMS and its clients. The rules are in `core/`, the prices come from `market/`, one task writes
(`engine.py`), and nothing is said before it is stored (`store.py`).
"""
