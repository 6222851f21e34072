"""The app's code: Python that must at least parse, and C# that Havn does not run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from havn.appfolder.checks.subject import Subject
from havn.appfolder.folder import HOOKS

MAX_CS_FILES = 400

INTERFACES: Mapping[str, str] = {
    "IDataProcessor": "@read_data and @write_data",
    "GenericDataProcessor": "@read_data and @write_data",
    "IDataWriteProcessor": "@after_write",
    "IInstantiationProcessor": "@create_data",
    "IValidateQueryParamPrefill": "@validate_query_prefill",
    "IInstantiationValidator": "@validate_instantiation",
    "ICopyInstanceValidator": "@validate_copy",
    "IValidator": "@validate_task",
    "IFormDataValidator": "@validate_form",
    "GenericFormDataValidator": "@validate_form",
    "IDataElementValidator": "@validate_element",
    "ITaskValidator": "@validate_task",
    "IInstanceValidator": "@validate_form and @validate_task",
    "IFileAnalyser": "@analyse_file",
    "IFileValidator": "@validate_file",
    "IProcessTaskStart": "@task_start",
    "IOnTaskStartingHandler": "@task_start",
    "IProcessTaskEnd": "@task_end",
    "IOnTaskEndingHandler": "@task_end",
    "IProcessTaskAbandon": "@task_abandon",
    "IOnTaskAbandonHandler": "@task_abandon",
    "IProcessEnd": "@process_end",
    "IOnProcessEndingHandler": "@process_end",
    "IAppEvents": "@task_start and @process_end",
    "IProcessTask": "@task_start, @task_end and @task_abandon",
    "IServiceTask": "@service_task",
    "IPipelineServiceTask": "@service_task",
    "IProcessExclusiveGateway": "@gateway",
    "IUserAction": "@action",
    "IUserActionAuthorizer": "@authorize_action",
    "IAppOptionsProvider": "@options",
    "IInstanceAppOptionsProvider": "@options(…, per_instance=True)",
    "IDataListProvider": "@data_list",
    "IInstanceDataListProvider": "@data_list(…, per_instance=True)",
    "IExternalApiClient": "@external_api",
    "IPdfFormatter": "@format_pdf",
}
"""What an app implements in C#, and the decorator of the Python function that does the same."""

_CLASS = re.compile(r"\b(?:class|record)\s+\w+(?:<[^>{]*>)?\s*(?:\([^)]*\))?\s*:\s*([^{]+)")
_NAME = re.compile(r"\b\w+")


def check(subject: Subject) -> None:
    """Report Python that does not parse, and C# that does something."""
    _python(subject)
    _csharp(subject)


def _python(subject: Subject) -> None:
    folder = f"{subject.files.app}{HOOKS.rpartition('/')[0]}/"
    for name in subject.files.names(folder, ".py"):
        text = subject.files.text(folder + name)
        if text is None:
            continue
        try:
            ast.parse(text)
        except SyntaxError as error:
            place = (error.lineno or 1, error.offset or 1)
            message = f"The Python cannot be read: {error.msg}."
            subject.files.report("error", "code.python", message, folder + name, place)
        except (ValueError, RecursionError, MemoryError):
            subject.files.report("error", "code.python", "The Python cannot be read.", folder + name, (1, 1))


def _csharp(subject: Subject) -> None:
    for number, file in enumerate(_files(subject, subject.files.app, 0)):
        if number >= MAX_CS_FILES:
            return
        text = subject.files.text(file)
        for match in _CLASS.finditer(text or ""):
            bases = _NAME.findall(match[1])
            known = [(base, INTERFACES[base]) for base in bases if base in INTERFACES]
            if not known:
                continue
            line = (text or "").count("\n", 0, match.start()) + 1
            base, hook = known[0]
            subject.files.report(
                "warning",
                "code.csharp",
                f"This C# ({base}) is not run.",
                file,
                (line, 1),
                f"Write it in Python in logic/hooks.py, with {hook}.",
            )


def _files(subject: Subject, folder: str, depth: int) -> Iterator[str]:
    for name in subject.files.names(folder, ".cs"):
        yield folder + name
    if depth < 5:
        for name in subject.files.folders(folder):
            if name not in ("bin", "obj", "node_modules", "wwwroot", "models"):
                yield from _files(subject, f"{folder}{name}/", depth + 1)
