"""Adapters: servers of `pitline.broker.v1`, one a venue or a protocol, each a process of its own.

Nobody imports one: an EMS meets it on the wire. What an adapter needs beyond the project's dependencies is an extra.
"""
