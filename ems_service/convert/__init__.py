"""The border between the wire and the core: the only code that knows both protobuf and core types, beside the
servicers.

`checks` refuses what is malformed, `command` reads what clients ask, `broker` speaks with brokers, `tick` reads
prices, `event` gives events their public form and `replay` reads it back, `record` adds what the journal needs,
`snapshot` writes and reads the fold, `report` answers reads.
"""
