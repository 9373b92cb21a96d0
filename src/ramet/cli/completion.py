"""``ramet completion``: scripts for shells, written from the table of verbs, so that a key press starts no Python."""

from __future__ import annotations

import argparse
import shlex
from typing import NamedTuple

from ramet.cli.out import document

SHELLS = ("bash", "zsh", "fish")

BASH = """\
# Completion of ramet for bash: eval "$(ramet completion bash)", or put this into a file of your completions.
_ramet() {{
    [[ -n "${{ZSH_VERSION:-}}" ]] && setopt localoptions nonomatch ksharrays shwordsplit
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" verb="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in -*) ;; *) verb="${{COMP_WORDS[i]}}"; break ;; esac
    done
    COMPREPLY=()
    case "$verb:$before" in
{values}
    esac
    local words=""
    case "$verb" in
        "") words={verbs} ;;
{options}
    esac
    if [[ "$word" == -* || -z "$verb" ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        return
    fi
    # Runs are folders: those here, and those in the folder of runs by their names.
    local IFS=$'\\n' root="${{RAMET_RUNS:-$HOME/ramet_runs}}" run
    COMPREPLY=($(compgen -f -- "$word"))
    case "$verb" in {runs})
        for run in "$root"/"$word"*/run.db; do
            [[ -e "$run" && "$word" != */* ]] && run="${{run%/run.db}}" && COMPREPLY+=("${{run##*/}}")
        done
        [[ "$verb" == export ]] && COMPREPLY+=($(IFS=' '; compgen -W {tables} -- "$word"))
    esac
}}
complete -o filenames -o bashdefault -F _ramet ramet
"""

ZSH = """\
# Completion of ramet for zsh: eval "$(ramet completion zsh)" after compinit. It is that for bash, which zsh can read.
autoload -Uz bashcompinit && bashcompinit
{bash}"""

FISH = """\
# Completion of ramet for fish: ramet completion fish | source
function __ramet_runs
    set -l root $RAMET_RUNS
    test -n "$root"; or set root ~/ramet_runs
    for run in $root/*/run.db
        path basename (path dirname $run)
    end
end
{lines}
"""


class _Option(NamedTuple):
    names: tuple[str, ...]
    choices: tuple[str, ...]
    takes: bool
    about: str


def completion(arguments: argparse.Namespace) -> int:
    """Print a script that lets a shell complete commands.

    It completes verbs, options, their values, files, and the names of runs.

    With --json: shell, script.

        $ eval "$(ramet completion bash)"     # in ~/.bashrc
        $ eval "$(ramet completion zsh)"      # in ~/.zshrc, after compinit
        $ ramet completion fish | source      # in ~/.config/fish/config.fish
    """
    script = {"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell]()
    if arguments.json:
        document({"shell": arguments.shell, "script": script})
    else:
        print(script, end="")
    return 0


def completion_options(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def bash() -> str:
    """Return the script for bash."""
    verbs = _verbs()
    values, options = [], []
    for name, (found, takes_run, words) in verbs.items():
        offered = " ".join(name for option in found for name in option.names)
        options.append(f"        {name}) words={shlex.quote(offered)} ;;")
        for option in found:
            patterns = "|".join(f"{name}:{each}" for each in option.names)
            if option.choices:
                listed = shlex.quote(" ".join(option.choices))
                values.append(f'        {patterns}) COMPREPLY=($(compgen -W {listed} -- "$word")); return ;;')
            elif option.takes:
                values.append(f'        {patterns}) COMPREPLY=($(compgen -f -- "$word")); return ;;')
        if words and not takes_run:
            listed = shlex.quote(" ".join(words))
            values.append(f'        {name}:{name}) COMPREPLY=($(compgen -W {listed} -- "$word")); return ;;')
    from ramet.cli.export import TABLES

    return BASH.format(
        values="\n".join(values),
        verbs=shlex.quote(" ".join([*verbs, "--help", "--version"])),
        options="\n".join(options),
        runs="|".join(name for name, (_, takes_run, _) in verbs.items() if takes_run),
        tables=shlex.quote(" ".join(TABLES)),
    )


def zsh() -> str:
    """Return the script for zsh."""
    return ZSH.format(bash=bash())


def fish() -> str:
    """Return the script for fish."""
    lines, verbs = [], _verbs()
    alone = "-n __fish_use_subcommand"
    lines += [f"complete -c ramet {alone} -f -a {name} -d {_fish(_brief(name))}" for name in verbs]
    for name, (found, takes_run, words) in verbs.items():
        here = f"-n '__fish_seen_subcommand_from {name}'"
        if takes_run:
            lines.append(f"complete -c ramet {here} -a '(__ramet_runs)'")
        if words:
            lines.append(f"complete -c ramet {here} -a {_fish(' '.join(words))}")
        for option in found:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            takes = f" -x -a {_fish(' '.join(option.choices))}" if option.choices else " -r" if option.takes else ""
            lines.append(f"complete -c ramet {here} {names}{takes} -d {_fish(option.about)}")
    return FISH.format(lines="\n".join(lines))


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _brief(name: str) -> str:
    from ramet.cli.parser import brief
    from ramet.cli.verbs import VERBS

    return next(brief(verb.run.__doc__) for verb in VERBS if verb.name == name)


def _verbs() -> dict[str, tuple[list[_Option], bool, tuple[str, ...]]]:
    """Return, by verb, its options, whether it takes a run, and the words that it takes."""
    from ramet.cli.export import TABLES
    from ramet.cli.parser import children

    told = {}
    for name, child in children().items():
        options = [
            _Option(
                tuple(action.option_strings),
                tuple(map(str, action.choices or ())),
                action.nargs != 0,
                action.help or "",
            )
            for action in child._actions
            if action.option_strings
        ]
        words = [action for action in child._actions if not action.option_strings]
        takes_run = any("RUN" in str(action.metavar) or action.dest == "schedule" for action in words)
        listed = [str(choice) for action in words for choice in action.choices or ()]
        told[name] = (options, takes_run, tuple(listed or (TABLES if name == "export" else ())))
    return told
