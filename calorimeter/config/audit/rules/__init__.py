"""The rules of the audit, one module for each subject.

A rule is a function with the decorator `rule` that yields findings; its docstring is the title. `all_rules`
lists the modules. docs/reference/audit.md repeats titles, remedies and quotes; a test compares them.
"""
