"""Runtime of any Python process that speaks the contract: servers, channels, batched streams, errors, settings, logs.

It knows gRPC, protobuf and the process it runs in, and no word of the business: whatever names an order, a quote or an
account belongs to an application.
"""
