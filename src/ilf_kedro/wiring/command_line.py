"""One message for every fault that ends a command, whatever part of Kedro raises it.

The traceback goes to the log file of conf/logging.yml; `--verbose` shows it on the terminal as well.
"""

from __future__ import annotations

import copy
import errno
import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import KedroCliError
from kedro.io import DatasetError
from kedro.utils import find_kedro_project
from kedro.validation.exceptions import DataValidationError

from ilf_kedro.schemas.redaction import redact
from ilf_kedro.wiring.command_parameters import read_parameters
from ilf_kedro.wiring.selected_names import find_unknown_names

__all__ = ["CommandError", "CommandInterruptedError", "explain", "quiet_log", "with_one_message"]

logger = logging.getLogger(__name__)
_node_logger = logging.getLogger("kedro.pipeline.node")

# What a disk or an operating system may refuse to any program.
_MACHINE_FAULTS = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENOSPC, errno.ENOTDIR, errno.EPERM}
    | {errno.EROFS}
)
# What a library raises where a catalog entry asks for what it cannot do.
_FAULTS_OF_ENTRIES = (DatasetError, ImportError, OSError, ValueError)
# An error that passed through one of these arose in a program; the commands themselves only start Kedro.
_PROGRAMS = ("ilf_kedro.", "kedro.pipeline.node")
_COMMANDS = frozenset({__name__, "ilf_kedro.cli", "ilf_kedro.__main__"})


class CommandError(click.ClickException):
    """A command has failed; the message says why, and what to do."""


class CommandInterruptedError(CommandError):
    """A command was ended by Ctrl-C."""

    exit_code = 130  # what shells give such a command


class _OneMessage(click.Command):
    """Ends in one message, whether its options or its work are at fault."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _as_one_message():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _as_one_message(), _unsaid_by_kedro():
            return super().invoke(ctx)


def with_one_message(command: click.Command) -> click.Command:
    """Return a copy of a command that ends in one message, shows tracebacks with `--verbose`, and reads its `--params`.

    A group's subcommands are covered by the group.
    """
    covered = _with_our_params(command)
    covered.__class__ = type(type(command).__name__, (_OneMessage, type(command)), {})
    if isinstance(covered, click.Group):
        covered.commands = {name: _with_our_params(each) for name, each in covered.commands.items()}
    elif all(option.name != "verbose" for option in command.params):
        covered.params.append(
            click.Option(
                ["--verbose", "-v"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_set_verbose,
                help="Show the traceback of an error.",
            )
        )
    return covered


@contextmanager
def quiet_log() -> Iterator[None]:
    """Keep the log for errors, while a command asks nodes for what it shows itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def explain(error: BaseException) -> str | None:
    """Return what to tell the user, or None where the error is a defect of the program.

    The project's own error classes are messages, wherever they stand in the chain of causes (a data set wraps what it
    raises). So are data that break their table's rules, what the machine refuses, and what Kedro raises by itself:
    it then was asked for something that does not exist.
    """
    chain = list(_chain(error))
    for each in chain:
        own = type(each).__module__.startswith("ilf_kedro.")
        if own or isinstance(each, (click.ClickException, DataValidationError)):
            return _text(each)
    if unknown := _unknown_names():
        return "\n".join(unknown)
    is_plain = isinstance(error, DatasetError) and isinstance(chain[-1], _FAULTS_OF_ENTRIES)
    is_machine = any(isinstance(each, OSError) and each.errno in _MACHINE_FAULTS for each in chain)
    return _text(error) if is_plain or is_machine or not _arose_in_a_program(chain) else None


@contextmanager
def _as_one_message() -> Iterator[None]:
    """Raise a CommandError in place of any error, and write the traceback to the log."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort):
        raise
    except click.UsageError as error:
        raise click.UsageError(redact(error.format_message()), error.ctx) from error
    except KeyboardInterrupt as error:
        raise CommandInterruptedError(
            "interrupted; the same command goes on from the answers and trainings that are kept"
        ) from error
    except Exception as error:
        raise CommandError(_tell(error)) from error


@contextmanager
def _unsaid_by_kedro() -> Iterator[None]:
    """Leave out what Kedro logs of a node's error, which ends the command, and its message with it."""

    def is_no_error(record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR

    _node_logger.addFilter(is_no_error)
    try:
        yield
    finally:
        _node_logger.removeFilter(is_no_error)


def _tell(error: Exception) -> str:
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    text = redact("".join(traceback.format_exception(error)), Path(project))
    file = _log(text)
    if KedroCliError.VERBOSE_ERROR:
        click.echo(text, err=True)
    message = explain(error)
    lines = [message or f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
    if message is None:
        where = f"is in {file}" if file else "is shown with --verbose"
        lines.append(
            f"This is a defect of ilf_kedro, or of code of your own that it called. The traceback {where}; "
            "please report it."
        )
    return redact("\n".join(lines), Path(project))


def _log(text: str) -> str | None:
    """Write a traceback to the log file, and return the file's name; None where there is no such file."""
    files = [handler.baseFilename for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    if not files:
        return None
    try:
        logger.error("%s", text)
    except OSError:
        return None
    return redact(files[0], Path.cwd())


def _set_verbose(context: click.Context, option: click.Parameter, value: bool) -> None:
    KedroCliError.VERBOSE_ERROR = value  # the switch of Kedro's own --verbose


def _with_our_params(command: click.Command) -> click.Command:
    copied = copy.copy(command)
    copied.params = [_with_our_values(option) for option in command.params]
    return copied


def _with_our_values(option: click.Parameter) -> click.Parameter:
    """Let `--params` take lists; any other option stays as it is."""
    if option.name != "params":
        return option
    ours = copy.copy(option)
    ours.callback = read_parameters
    return ours


def _text(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip()


def _unknown_names() -> list[str]:
    context = click.get_current_context(silent=True)
    return find_unknown_names(context.params) if context is not None else []


def _arose_in_a_program(chain: Sequence[BaseException]) -> bool:
    """Tell whether an error arose in the project's code, in a node of anyone's, or in what these called."""
    frames = (frame for each in chain for frame, _ in traceback.walk_tb(each.__traceback__))
    modules = (str(frame.f_globals.get("__name__")) for frame in frames)
    return any(module.startswith(_PROGRAMS) and module not in _COMMANDS for module in modules)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
