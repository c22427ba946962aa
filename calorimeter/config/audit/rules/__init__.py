"""The rules of the audit, one module for each subject.

A rule is a function with the decorator `rule` that yields findings; its docstring is the title. `all_rules`
lists the modules. docs/reference/audit-proxy.md and audit-heat.md repeat titles, remedies and quotes; a
test compares them.
"""
