"""The border between the wire and the core: the only code that knows both protobuf and core types, beside the
servicers.

`checks` refuses what is malformed, `command` reads what clients ask, `broker` speaks with brokers, `event` gives
events their public form and reads it back, `record` adds what the journal needs, `report` answers reads.
"""
