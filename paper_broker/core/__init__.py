"""The rules of the paper broker, in integer ticks and lots: no I/O, no wire, no clock, no chance."""
