"""App policies as people think of them: who may do what where. Reading, tables, lint, truth-table diff, cases.

Pure, on the XACML engine's own documents: what is shown and compared is what is decided.
"""
