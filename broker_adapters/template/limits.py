"""Every bound of this adapter, with its reason. Those that all brokers share are in `pitline_broker.limits`."""

REPORTS_MAX = 10_000
"""Reports of the venue that wait to be stored; beyond it the venue waits."""
