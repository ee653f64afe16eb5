"""Both ways between the messages of `pitline.broker.v1` and the core."""
