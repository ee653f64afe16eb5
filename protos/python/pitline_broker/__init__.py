"""What every server of `pitline.broker.v1` in Python has in common: the dialogue, who is attached, requests in.

It knows the contract and no broker: what an order does here, and what is stored of it, belongs to who imports this.
"""
