"""The gRPC rim: decode, hand over, await, encode."""
