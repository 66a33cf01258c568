"""`forensics report`: the post-mortem as files to hand over."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.options import SETTINGS, Invocation, global_options

SCHEMA = "afterimage.report-files/1"


@click.command(
    short_help="Write the post-mortem as files.",
    help="""\b
forensics report i-0123456789abcdef0 -o ./post-mortem --format html,md

Write the instance's post-mortem: what happened with its evidence, completeness, timeline, last
words, snapshots, custody log, quarantine journal. Facts are filled in, judgement is left blank.
The HTML is one file without scripts or network, and prints well. Prints the paths.
""",
)
@click.argument("instance", metavar="ID")
@click.option(
    "-o",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder for the files; it is made if it is not there. Default: here.",
)
@click.option(
    "--format",
    "formats",
    metavar="LIST",
    default="html,md",
    show_default=True,
    help="Formats, separated by commas.",
)
@global_options(*SETTINGS)
@click.pass_obj
def report(invocation: Invocation, instance: str, folder: Path, formats: str) -> int:
    """Write the post-mortem."""
    from forensics.cli.output import narrate, warn_each, write_json, write_line
    from forensics.cli.session import gather_model, run_async
    from forensics.report.write import parse_formats, report_path, write_report
    from forensics.safe_text import safe_text

    wanted = parse_formats(formats)
    model = run_async(gather_model(invocation.settings(), instance))
    warn_each(model.warnings)
    named = [report_path(model.instance.instance_id, folder, form) for form in wanted]
    older = [path for path in named if path.exists()]
    paths = write_report(model, folder, wanted)
    for path in older:
        narrate(f"replaced the older {path}")
    if invocation.json:
        write_json(
            SCHEMA,
            {
                "instance_id": model.instance.instance_id,
                "files": [str(path) for path in paths],
                "warnings": list(model.warnings),
            },
        )
        return 0
    for path in paths:
        write_line(safe_text(str(path)))
    return 0
