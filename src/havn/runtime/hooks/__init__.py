"""Service code: what an app's own Python (`App/logic/hooks.py`) may import, and where it plugs in.

Each hook is a function with a decorator. The first argument is a context (`contexts.py`), models come after it: typed
by their annotation with a class made by `havn models`, or as plain `dict`. A function may be `async`; one that is not
runs in a thread of its own, so that it may wait for something. Changing the model you are given is enough.

    from havn.runtime.hooks import WriteContext, write_data

    from .models.skjema import Skjema

    @write_data("skjema")
    def total(ctx: WriteContext, model: Skjema, previous: Skjema) -> None:
        model.sum = sum(line.amount or 0 for line in model.lines or [])

Hooks of one kind run in the order in which they stand in the file. An exception ends the request with status 500 and
a log line with file and line; the user sees no trace of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from havn.runtime.hooks.contexts import (
    ActionContext,
    AuthorizeContext,
    Change,
    ChangesContext,
    Context,
    CreateContext,
    Data,
    Flow,
    GatewayContext,
    InstanceContext,
    InstantiationContext,
    OptionsContext,
    ReadContext,
    TaskContext,
    UploadedFile,
    WriteContext,
)
from havn.runtime.hooks.registry import Decorator, Hook, HookError, Hooks, register
from havn.runtime.hooks.results import (
    Abandon,
    ActionDone,
    ActionFailed,
    ActionRedirect,
    ActionResult,
    ClientAction,
    DataListPage,
    Done,
    Failed,
    FileAnalysis,
    Issue,
    Option,
    Options,
    Outcome,
    PdfFormat,
    Refusal,
    Retry,
    error,
    warning,
)
from havn.runtime.issues import Severity

__all__ = [
    "Abandon", "ActionContext", "ActionDone", "ActionFailed", "ActionRedirect", "ActionResult", "AuthorizeContext",
    "Change", "ChangesContext", "ClientAction", "Context", "CreateContext", "Data", "DataListPage", "Done", "Failed",
    "FileAnalysis", "Flow", "GatewayContext", "Hook", "HookError", "Hooks", "InstanceContext", "InstantiationContext",
    "Issue", "Option", "Options", "OptionsContext", "Outcome", "PdfFormat", "ReadContext", "Refusal", "Retry",
    "Severity", "TaskContext", "UploadedFile", "WriteContext", "action", "after_write", "analyse_file",
    "authorize_action", "create_data", "data_list", "error", "external_api", "format_pdf", "gateway", "options",
    "process_end", "read_data", "service_task", "task_abandon", "task_end", "task_start", "validate_copy",
    "validate_element", "validate_file", "validate_form", "validate_instantiation", "validate_query_prefill",
    "validate_task", "warning", "write_data",
]  # fmt: skip


def read_data(*data_types: str) -> Decorator:
    """`(ctx: ReadContext, model)`: a model is being read; changes are saved, unless the element is locked."""
    return register("read_data", data_types)


def write_data(*data_types: str) -> Decorator:
    """`(ctx: WriteContext, model, previous)`: a changed model is about to be saved; change it as you need."""
    return register("write_data", data_types)


def after_write() -> Decorator:
    """`(ctx: ChangesContext)`: after `write_data`; sees every change, may add and remove elements, may abandon."""
    return register("after_write", ())


def create_data(*data_types: str) -> Decorator:
    """`(ctx: CreateContext, model)`: a new model, after prefill, before it is stored."""
    return register("create_data", data_types)


def validate_instantiation() -> Decorator:
    """`(ctx: InstantiationContext)` gives None or a `Refusal`; at most one."""
    return register("validate_instantiation", ())


def validate_copy() -> Decorator:
    """`(ctx: InstanceContext)` of the instance to copy; gives None or a `Refusal`; at most one."""
    return register("validate_copy", ())


def validate_query_prefill() -> Decorator:
    """`(ctx: Context, prefill: dict)` of a stateless page's address; gives None or an `Issue`; at most one."""
    return register("validate_query_prefill", ())


def validate_form(*data_types: str, name: str, fields: Sequence[str] = (), without_hidden: bool = False) -> Decorator:
    """`(ctx: InstanceContext, model)` gives issues. Runs on save too, when one of `fields` (or anything) changed.

    `name` is the issues' source; keep it, since the frontend clears issues by it.
    """
    return register("validate_form", data_types, name=name, fields=tuple(fields), without_hidden=without_hidden)


def validate_task(*tasks: str, name: str, incremental: bool = False) -> Decorator:
    """`(ctx: InstanceContext)` gives issues; on submit, and on every save with `incremental`."""
    return register("validate_task", tasks, name=name, incremental=incremental)


def validate_element(*data_types: str, name: str) -> Decorator:
    """`(ctx: InstanceContext, element: DataElement)` gives issues; on submit only."""
    return register("validate_element", data_types, name=name, incremental=False)


def analyse_file(analyser_id: str) -> Decorator:
    """`(ctx: InstanceContext, file: UploadedFile)` gives a `FileAnalysis`; for data types that enable the id."""
    return register("analyse_file", (analyser_id,))


def validate_file(validator_id: str) -> Decorator:
    """`(ctx: InstanceContext, file: UploadedFile)` gives issues; any error refuses the upload."""
    return register("validate_file", (validator_id,))


def options(options_id: str, *, per_instance: bool = False) -> Decorator:
    """`(ctx: OptionsContext)` gives a list of `Option`, or `Options` with parameters; wins over a file."""
    return register("instance_options" if per_instance else "options", (options_id,))


def data_list(list_id: str, *, per_instance: bool = False) -> Decorator:
    """`(ctx: OptionsContext)` gives a `DataListPage`; `ctx.query` has size, page, sortColumn, sortDirection."""
    return register("instance_data_list" if per_instance else "data_list", (list_id,))


def external_api(api_id: str) -> Decorator:
    """`(ctx: OptionsContext)` gives any JSON."""
    return register("external_api", (api_id,))


def action(action_id: str) -> Decorator:
    """`(ctx: ActionContext)` gives an `ActionResult`; None means `ActionDone()`."""
    return register("action", (action_id,))


def authorize_action(*actions: str) -> Decorator:
    """`(ctx: AuthorizeContext)` gives a bool; asked after the policy said yes; every one must agree."""
    return register("authorize_action", actions)


def task_start(*tasks: str) -> Decorator:
    """`(ctx: TaskContext)`: a task is being entered, before its elements are made."""
    return register("task_start", tasks)


def task_end(*tasks: str) -> Decorator:
    """`(ctx: TaskContext)`: a task is being completed, before its elements are locked."""
    return register("task_end", tasks)


def task_abandon(*tasks: str) -> Decorator:
    """`(ctx: TaskContext)`: a task is being left by reject."""
    return register("task_abandon", tasks)


def process_end() -> Decorator:
    """`(ctx: TaskContext)`: the process has ended and the instance is archived; its data is for reading only."""
    return register("process_end", ())


def service_task(task_type: str) -> Decorator:
    """`(ctx: TaskContext)` gives an `Outcome`: an automatic task of the app's own type."""
    return register("service_task", (task_type,))


def gateway(gateway_id: str) -> Decorator:
    """`(ctx: GatewayContext)` gives the id of the flow to follow, for a gateway whose flows have no conditions."""
    return register("gateway", (gateway_id,))


def format_pdf() -> Decorator:
    """`(ctx: InstanceContext)` gives a `PdfFormat`; at most one."""
    return register("format_pdf", ())
