"""`sightline`: finds the command and loads only its file, so that help costs nothing (no torch, no numba)."""

import sys
from importlib import import_module

from sightline import __version__
from sightline.cli.signals import Signals
from sightline.foundation.errors import SightlineError

# Command → its module (with a function `main(arguments) -> exit code`) and one line for the list.
COMMANDS = {
    "demo": ("sightline.cli.demo", "make a scene, train on it, show the result: needs no data"),
    "poses": ("sightline.cli.poses", "camera poses of photos or of a video: makes posed data of them"),
    "train": ("sightline.cli.train", "train a method on posed photos into a run folder"),
    "eval": ("sightline.cli.eval", "score a run, or a folder of pictures, on held-out views"),
    "render": ("sightline.cli.render", "render a run along a camera path: video or pictures"),
    "view": ("sightline.cli.view", "look at a run in the browser, move through it, make camera paths"),
    "export": ("sightline.cli.export", "export a run: mesh, points, volume, or a portable scene"),
    "report": ("sightline.cli.report", "one page of HTML about a run, or about several side by side"),
    "import": ("sightline.cli.import_", "make a run folder of a published checkpoint"),
    "data inspect": ("sightline.cli.data_inspect", "what is in a data folder, with a picture of its cameras"),
    "data convert": ("sightline.cli.data_convert", "write a data folder in another format"),
    "data make": ("sightline.cli.data_make", "make synthetic data: objects or scenes"),
    "doctor": ("sightline.cli.doctor", "versions, devices, kernels, what is missing and how to get it"),
}

# Asked to stop, training saves what it has, the viewer ends, and that is a success.
_INTERRUPTIBLE = ("train", "view")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code: 0 done, 1 failed while running, 2 the input or call is wrong."""
    # Called as a program, nothing follows; called from Python, a program that has signals of its own.
    last = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments[:1] == ["--version"]:
        print(f"sightline {__version__}")
        return 0
    command, rest = _find_command(arguments)
    if command is None:
        return _help(arguments)
    code = 0 if command in _INTERRUPTIBLE else 1
    with Signals(code, last=last):
        return _call(command, rest, debug, code)


def _find_command(arguments: list[str]) -> tuple[str | None, list[str]]:
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in COMMANDS:
            return name, arguments[words:]
    return None, arguments


def _call(command: str, arguments: list[str], debug: bool, interrupted: int) -> int:
    try:
        from sightline.cli.console import show_messages

        show_messages()
        return int(import_module(COMMANDS[command][0]).main(arguments) or 0)
    except SightlineError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return interrupted
    except BrokenPipeError:
        # The reader of our output (head, less) has gone, and needs no more of it.
        sys.stdout = None  # type: ignore[assignment]
        return 0
    except Exception as error:
        if debug:
            raise
        text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        print(
            f"error: Something unexpected failed ({text}). Run again with --debug for the whole traceback.",
            file=sys.stderr,
        )
        return 1


def _help(arguments: list[str]) -> int:
    """Print the list of commands; on stderr with exit code 2 where the call named none that exists."""
    asked = not arguments or arguments[0] in ("-h", "--help", "help")
    group = {name: entry for name, entry in COMMANDS.items() if arguments and name.split()[0] == arguments[0]}
    shown = group or COMMANDS
    width = max(map(len, shown))
    lines = [f"usage: sightline {arguments[0] if group else 'COMMAND'} …", ""]
    lines += [f"  {name:<{width}}  {summary}" for name, (_, summary) in shown.items()]
    lines += ["", "`sightline COMMAND --help` tells more. Every command takes --debug for whole tracebacks."]
    if not asked and not (group and arguments[1:2] in ([], ["-h"], ["--help"])):
        lines.insert(0, f"error: There is no command {' '.join(arguments[:2])!r}.\n")
        print("\n".join(lines), file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
