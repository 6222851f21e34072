"""Moving an instance through its process: where it stands, what the actor may do there, and the next step.

`next_task` is safe to call again after any failure, a killed process included: the move itself is one write in storage
guarded by the instance's version, and everything before it can be repeated.
"""

from havn.runtime.process.move import complete_process, next_task
from havn.runtime.process.state import AppProcessState, CurrentTask, TaskElement, UserAction, state

__all__ = [
    "AppProcessState", "CurrentTask", "TaskElement", "UserAction", "complete_process", "next_task", "state",
]  # fmt: skip
