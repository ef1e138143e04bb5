"""The YAML file of a template, a task and a start: its fields, and every mistake with its line.

scalars, containers    what a value may be
fields                 what the three sections hold
parsing                text to YAML nodes, which know their lines
reading                a file to what the SDK takes, or all that is wrong with it
schema                 the same fields as a JSON Schema, for editors
"""
