"""Market data: one upstream per instrument, any number of consumers.

`feed.py` holds a broker's stream, `topic.py` one market, `tap.py` what one consumer takes of it.
"""
