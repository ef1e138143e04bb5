"""What users hand in, as contract types: every wrong type is named before anything is sent.

Form only; what a value may be is checked by the server, whose answer is the same for every
client.
"""
