"""The `df3d` command. One file per subcommand; nothing here or at their top imports torch."""

from __future__ import annotations

import io
import logging
import os
import sys

import typer

from df3d import __version__
from df3d.cli import batch, doctor, eval, export, generate, plugins, recipes, render, view
from df3d.cli.context import fail, nobody_listens
from df3d.errors import Df3dError, RunError
from df3d.plugin.catalog import Catalog


def build(catalog: Catalog) -> typer.Typer:
    """The command line for what is installed."""
    app = typer.Typer(
        name="df3d",
        help="Text to 3D on the command line.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": catalog},
    )
    app.command("generate")(generate.generate)
    app.command("export")(export.export)
    app.command("eval")(eval.evaluate)
    app.command("render")(render.render)
    app.command("view")(view.view)
    app.command("recipes")(recipes.recipes)
    app.command("doctor")(doctor.doctor)
    app.add_typer(batch.batch, name="batch")
    app.add_typer(plugins.plugins, name="plugins")
    app.callback()(_options)
    catalog.add_commands(app)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"df3d {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
) -> None: ...


def main() -> None:
    """The console script."""
    _open_streams()
    if "--debug" in sys.argv:
        logging.getLogger("df3d").addHandler(logging.StreamHandler())
        logging.getLogger("df3d").setLevel(logging.DEBUG)
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    try:
        build(Catalog.discover())()
    except BrokenPipeError:
        nobody_listens()
        sys.exit(1)
    except (Df3dError, OSError, UnicodeEncodeError) as error:
        if "--debug" in sys.argv:
            raise
        sys.exit(fail(error if isinstance(error, Df3dError) else _of_the_system(error)))


def _open_streams() -> None:
    """Give a service that has no terminal somewhere to write to, and let no name or prompt end a command that prints it.

    Without the first, the next file that is opened takes the place of the error output.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(handle)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as the program runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _of_the_system(error: OSError | UnicodeEncodeError) -> RunError:
    """What the system refused, where nothing nearer to it said so."""
    if isinstance(error, UnicodeEncodeError):
        return RunError(f"{error.object!r} cannot be written as text: {error.reason}", "use names in UTF-8")
    if error.filename:
        return RunError(f"cannot use `{error.filename}`: {error.strerror or error}", "check its name, its permissions and the disk")
    from df3d.system.machine import cache_folder

    return RunError(
        f"the system refused to read or write: {error.strerror or error}",
        f"check the disks of the run folder and of the cache, `{cache_folder()}` (DF3D_CACHE names another); --debug shows where",
    )
