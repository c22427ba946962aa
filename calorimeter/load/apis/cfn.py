"""The CloudFormation API: signed form posts, answers in XML."""

from __future__ import annotations

from calorimeter.core import foreign
from calorimeter.core.deployment import Api
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.login.sigv4 import Signer
from calorimeter.load.apis.stack_api import StackIdentity
from calorimeter.load.http.client import Answer
from calorimeter.load.http.connection import Endpoint
from calorimeter.workload.template import Template


class CfnApi:
    """One Heat CFN API, with one pair of EC2 credentials."""

    name = "cfn"
    gone_statuses = frozenset({400, 404})

    def __init__(self, api: Api, endpoint: Endpoint, signer: Signer) -> None:
        self._sign = signer.sign
        path = f"{api.parts.path.rstrip('/')}/"  # without the slash, Heat answers 404
        self._url = f"{api.parts.scheme}://{endpoint.authority}{path}"
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
            "User-Agent: calorimeter\r\nAccept: application/xml\r\n"
        )

    def list(self) -> bytes:
        """ListStacks."""
        return self.call("ListStacks")

    def show(self, stack: StackIdentity) -> bytes:
        """DescribeStacks of one stack."""
        return self.call("DescribeStacks", StackName=stack.identity)

    def show_resource(self, stack: StackIdentity, resource: str) -> bytes:
        """DescribeStackResource."""
        return self.call("DescribeStackResource", StackName=stack.identity, LogicalResourceId=resource)

    def create(self, name: str, template: Template) -> bytes:
        """CreateStack."""
        return self.call(
            "CreateStack",
            StackName=name,
            TemplateBody=template.text,
            DisableRollback="true",
            TimeoutInMinutes="10",
        )

    def delete(self, stack: StackIdentity) -> bytes:
        """DeleteStack."""
        return self.call("DeleteStack", StackName=stack.identity)

    def check_list(self, answer: Answer) -> None:
        """Check only the beginning of the answer."""
        if b"<StackSummaries" not in answer.body[:200]:
            raise UnintelligibleError("not a list of stacks")

    def created(self, answer: Answer, name: str) -> StackIdentity:
        """The new stack's ARN, which ends in its id."""
        arn = foreign.arn(foreign.xml_text(answer.body, "StackId"))
        return StackIdentity(name, arn.rpartition("/")[2], arn)

    def state(self, answer: Answer) -> str:
        """`StackStatus`."""
        return foreign.xml_text(answer.body, "StackStatus")

    def call(self, action: str, **form: str) -> bytes:
        """Any action; the signature is as old as this call."""
        headers, body = self._sign(self._url, action, **form)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self._head}{lines}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body
