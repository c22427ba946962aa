"""Gates A: the deployment's configuration files (docs/reference/audit.md explains each rule)."""

from __future__ import annotations

import re
from collections.abc import Callable

from calorimeter.config.audit import judgement
from calorimeter.config.audit.judgement import judged
from calorimeter.gates.audit.audited_files import audited
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate

NOTES = {
    "A2": "If the `haproxy` program is installed, it must accept the files, too.",
    "A5": "Read from its file; gates S show whether it does.",
    "A6": "Read from its file; gates H show whether it does, and how soon.",
    "A7": "Read from its file; gates P6 and P7 show whether that is so.",
}
"""Gate → what its docstring says besides the heading."""


def declared(subject: judgement.AuditGate) -> Callable[[Context, Judge], None]:
    """The test function of one gate of the audit, named for its heading."""
    files = (("proxy files", subject.needs_proxy), ("heat files", subject.needs_heat))

    def test(context: Context, judge: Judge) -> None:
        evidence = audited(context)
        judge(evidence, judged(subject.id), name="audit", waived=evidence.waived(subject.id))

    test.__doc__ = "\n\n".join(filter(None, (f"{subject.heading}.", NOTES.get(subject.id))))
    test.__name__ = "test_" + re.sub(r"\W+", "_", subject.heading.lower().replace("'", ""))
    return gate(subject.id, guide=subject.guide, needs=tuple(name for name, read in files if read))(test)


globals().update({test.__name__: test for test in map(declared, judgement.GATES)})
