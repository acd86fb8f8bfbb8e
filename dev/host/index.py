"""Import an app's `function_app.py` and read which functions it declares and what triggers them."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from azure.functions.decorators.function_app import Function as DeclaredFunction
from azure.functions.decorators.function_app import FunctionRegister

from dev.host.errors import BindingError, StartError
from dev.host.settings import is_true, resolve

TRIGGERS = {"timerTrigger": "timer", "queueTrigger": "queue", "httpTrigger": "http"}


@dataclass(frozen=True)
class Function:
    """One function: what to call, with which argument, and its trigger's properties with settings filled in.

    `error` says what is wrong with its binding; such a function does not run, the others do.
    """

    name: str
    kind: str
    argument: str
    trigger: dict[str, Any]
    error: str = ""
    call: Callable[..., Any] = print

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    @property
    def takes_context(self) -> bool:
        return "context" in inspect.signature(self.call).parameters

    def described(self) -> "Function":
        """The same without what only the worker process can call."""
        return replace(self, call=print)


def index(folder: Path) -> list[Function]:
    """The functions an app declares, without the disabled ones; raises StartError naming what is wrong."""
    app = _import_app(folder)
    try:
        declared: list[DeclaredFunction] = app.get_functions()
    except ValueError as error:
        raise StartError(f"the functions of {folder} are declared wrongly: {error}") from error
    functions = [_function(each) for each in declared if not _is_disabled(each)]
    if not functions:
        raise StartError(f"{folder}/function_app.py declares no function")
    return functions


def _import_app(folder: Path) -> FunctionRegister:
    if not (folder / "function_app.py").exists():
        raise StartError(f"{folder} holds no function_app.py")
    # the worker runs in the app's folder and finds the app's modules first
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module("function_app")
    except Exception as error:
        traceback.print_exc()
        raise StartError(f"{folder}/function_app.py cannot be imported: {type(error).__name__}: {error}") from error
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if len(apps) != 1:
        raise StartError(f"{folder}/function_app.py must hold exactly one FunctionApp at top level, not {len(apps)}")
    return apps[0]


def _is_disabled(function: DeclaredFunction) -> bool:
    name = function.get_function_name()
    return any(is_true(os.environ.get(f"AzureWebJobs{dot}{name}{dot}Disabled")) for dot in "._")


def _function(declared: DeclaredFunction) -> Function:
    name, trigger = str(declared.get_function_name()), declared.get_trigger()
    if trigger is None or trigger.type not in TRIGGERS:
        found = trigger.type if trigger else "no trigger"
        raise StartError(f"function {name} has {found}: this stand-in knows {', '.join(TRIGGERS)} only")
    others = [each.type for each in declared.get_bindings() if each is not trigger and each.name != "$return"]
    if others:
        raise StartError(f"function {name} uses {', '.join(map(str, others))}: this stand-in has no such bindings")
    call, argument = declared.get_user_function(), str(trigger.name)
    _check_parameters(name, call, argument)
    if declared.get_settings_dict("retry_policy"):
        print(f"host: the retry policy of {name} is ignored by this stand-in", file=sys.stderr)
    kind, properties, wrong = TRIGGERS[trigger.type], {}, ""
    try:
        properties = {key: _plain(value) for key, value in trigger.get_dict_repr().items()}
    except BindingError as error:
        wrong = str(error)
    return Function(name, kind, argument, properties, wrong, call)


def _check_parameters(name: str, call: Callable[..., Any], argument: str) -> None:
    """The worker refuses to load an app in which they differ; so does this."""
    taken = set(inspect.signature(call).parameters) - {"context"}
    if taken != {argument}:
        raise StartError(f"function {name} takes {', '.join(sorted(taken))}, but its trigger gives it {argument}")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return resolve(value) if isinstance(value, str) else value
