"""Conversions between wire messages and contract types, in pairs, one file per room.

Decoding checks form (present, known enum value); what a value may be is checked by
`flow_contract`.
"""
