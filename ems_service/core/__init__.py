"""The rules of the EMS. Pure: no clock, no I/O, no protobuf. `ems.py` composes them, it calls everything else."""
