"""Reading `deployment/egress.yaml`: decoded into the policy's types, each mistake with its line."""

from __future__ import annotations

from havn.appfolder.deployment import decode_yaml, file_for, read_yaml
from havn.appfolder.files import Files
from havn.engines.egress_policy import EgressPolicy, faults

CODE = "deployment.egress"


def read(files: Files) -> EgressPolicy | None:
    """The app's outbound rules; None when there are none, or when they cannot be used (then with findings)."""
    file = file_for(files, "egress.yaml")
    found = read_yaml(files, file)
    if found is None:
        return None
    policy = decode_yaml(files, file, found, EgressPolicy, code=CODE, named="Outbound rules")
    if policy is None:
        return None
    mistakes = faults(policy)
    for fault in mistakes:
        files.report("error", CODE, fault.message, file, found.place(fault.path), fault.hint)
    return None if mistakes else policy
