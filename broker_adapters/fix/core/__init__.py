"""Rules of the FIX adapter: what an EMS asks and a venue reports, without I/O, protobuf or QuickFIX."""
