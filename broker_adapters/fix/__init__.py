"""The FIX adapter: a broker that is reached by a FIX 4.2 or 4.4 session of QuickFIX's.

What a venue said is stored before an EMS is told, and what an EMS asked is stored before a venue is asked.
"""
