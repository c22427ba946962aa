"""What a cloud of clouds.yaml answers for the owner: whether it can be used, and how TLS is verified."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.errors import InputError
from calorimeter.core.login import clouds
from calorimeter.core.login.identities import ENVIRONMENT


def with_cloud(answers: Answers) -> Answers:
    """Add what the named cloud says. Without a name, `OS_AUTH_TYPE` stands for the cloud of `OS_*`.

    A cloud that cannot be read becomes `cloud_problem`.
    """
    name = answers.cloud
    if name is None and not answers.username and os.environ.get("OS_AUTH_TYPE"):
        name = ENVIRONMENT
    if name is None:
        return answers
    try:
        found = clouds.read(name, answers.clouds_file, answers.region)
    except InputError as problem:
        return replace(answers, cloud=name, cloud_problem=str(problem))
    authorities = Path(found.verify) if isinstance(found.verify, str) else None
    return replace(
        answers,
        cloud=name,
        cloud_auth_url=found.auth_url or None,
        ca_file=answers.ca_file or authorities,
        verify=bool(answers.ca_file) or found.verify is not False,
    )
