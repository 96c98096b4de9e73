"""The audit trail's seals: rows hashed, signed a second's worth at a time, and verified. Pure: no I/O, no SQL.

Whoever changes the database cannot sign; whoever verifies needs the public key and the seals published elsewhere.
"""
