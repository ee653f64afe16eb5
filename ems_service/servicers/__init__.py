"""The gRPC rim: each method decodes, hands over, awaits and encodes."""
