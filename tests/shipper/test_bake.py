"""`bake` puts the shipper into an image root, the same each time, and never outside of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shipper.bake import image
from shipper.bake.program import Interpreter, build_program, find_interpreter, read_unit
from shipper.bake.root import ImageRoot
from shipper.cli import main
from shipper.config_reader import parse_config
from shipper.errors import ConfigError

PYZ = "usr/lib/afterimage/shipper.pyz"
UNIT = "usr/lib/systemd/system/afterimage-shipper.service"
WANTED = "etc/systemd/system/multi-user.target.wants/afterimage-shipper.service"
CONFIG = "etc/afterimage/shipper.toml"
FILES = {CONFIG, WANTED, "usr/bin/shipper", PYZ, UNIT, "usr/lib/afterimage/bake.json"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image's root with a Python, and nothing else."""
    directory = tmp_path / "image"
    add_python(directory, "python3.11", default=True)
    return directory


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that is complete."""
    file = tmp_path / "own.toml"
    file.write_text('[output.opensearch]\nurls = ["https://centre.example:9200"]\n')
    return file


def add_python(root: Path, name: str, *, default: bool) -> None:
    """A Python as distributions install it: `python3` is a link to a versioned name."""
    folder = root / "usr" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x7fELF of another machine")
    if default:
        (folder / "python3").symlink_to(name)


def tree(root: Path) -> dict[str, str]:
    """Every file, link and directory below a root, with what is in it and its mode."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"→ {path.readlink()}"
        else:
            mode = oct(stat.S_IMODE(path.stat().st_mode))
            data = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
            found[name] = f"{mode} {data}"
    return found


def bake(root: Path, *arguments: str) -> int:
    """The command, in this process."""
    return main(["bake", "--root", str(root), *arguments])


def test_an_image_gets_program_unit_and_configuration(root: Path) -> None:
    """Exactly the documented files are there, with their modes, and the unit is enabled."""
    before = tree(root)
    assert 0 == bake(root)
    added = {name for name in tree(root).keys() - before.keys() if not (root / name).is_dir()}
    assert FILES == added
    assert "/usr/lib/systemd/system/afterimage-shipper.service" == str((root / WANTED).readlink())
    assert (0o640, 0o755, 0o644) == tuple(
        stat.S_IMODE((root / name).stat().st_mode) for name in (CONFIG, "usr/bin/shipper", PYZ)
    )
    assert not (root / "var").exists()


def test_two_bakes_are_equal_to_the_byte(tmp_path: Path, root: Path, config: Path) -> None:
    """The same shipper gives the same image, wherever and under whatever umask it is baked."""
    other = tmp_path / "other"
    add_python(other, "python3.11", default=True)
    assert 0 == bake(root, "-c", str(config))
    umask = os.umask(0o077)
    try:
        assert 0 == bake(other, "-c", str(config))
    finally:
        os.umask(umask)
    assert tree(root) == tree(other)


def test_a_second_bake_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is right is not even rewritten: inodes and times stay."""
    assert 0 == bake(root)
    before = {path: path.lstat() for path in root.rglob("*")}
    capsys.readouterr()
    assert 0 == bake(root)
    assert before == {path: path.lstat() for path in root.rglob("*")}
    assert 5 == capsys.readouterr().out.count(": same\n")


def test_the_program_is_this_package(root: Path) -> None:
    """Every module is in the archive with its bytes, and no cache or test."""
    bake(root)
    with zipfile.ZipFile(root / PYZ) as archive:
        names = set(archive.namelist())
        source = Path(sys.modules["shipper"].__file__ or "").parent
        expected = {
            str(file.relative_to(source.parent))
            for suffix in ("*.py", "*.service", "*.typed")
            for file in source.rglob(suffix)
        }
        assert expected | {"__main__.py"} == names
        assert [] == [
            name
            for name in expected
            if archive.read(name) != source.parent.joinpath(name).read_bytes()
        ]


def run_baked(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the baked archive in an isolated interpreter, far from this checkout."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd="/",
    )


def test_the_baked_program_runs_alone(root: Path, config: Path, tmp_path: Path) -> None:
    """From the image, without site-packages: help, a complete check, and bake itself."""
    assert 0 == bake(root, "-c", str(config))
    done = run_baked(root / PYZ, "--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert "dead-letters" in done.stdout
    config.write_text("[output.opensearch]\nurl = []\n")
    done = run_baked(root / PYZ, "check", "-c", str(config))
    assert (2, "") == (done.returncode, done.stderr)
    assert "did you mean urls?" in done.stdout
    again = tmp_path / "again"
    again.mkdir()
    assert 0 == run_baked(root / PYZ, "bake", "--root", str(again)).returncode
    assert (root / PYZ).read_bytes() == (again / PYZ).read_bytes()


def test_the_launcher_finds_its_program(root: Path) -> None:
    """`/usr/bin/shipper` runs the archive beside it, whatever lies in its own folder."""
    bake(root)
    (root / "usr/bin/argparse.py").write_text("raise SystemExit('not the library')")
    done = run_baked(root / "usr/bin/shipper", "--version")
    assert ("", 0) == (done.stderr, done.returncode)
    assert done.stdout.startswith("shipper ")


def test_the_default_configuration_is_reported_as_incomplete(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Baked without -c the image lacks an output: bake says so, and the check fails."""
    assert 0 == bake(root)
    assert "output.opensearch.urls is missing" in capsys.readouterr().err
    assert 1 == bake(root, "--check")


def test_an_own_configuration_is_kept(
    root: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What somebody wrote into the image stays, and is taken by the check if it is right."""
    (root / CONFIG).parent.mkdir(parents=True)
    shutil.copy(config, root / CONFIG)
    assert 0 == bake(root)
    assert config.read_bytes() == (root / CONFIG).read_bytes()
    assert "/etc/afterimage/shipper.toml: kept" in capsys.readouterr().out
    assert 0 == bake(root, "--check")
    assert "different, and taken as yours" in capsys.readouterr().out


def test_a_given_configuration_replaces_the_old_one(root: Path, config: Path) -> None:
    """-c FILE says what is wanted: it is installed over whatever is there."""
    bake(root)
    assert 0 == bake(root, "-c", str(config))
    assert config.read_bytes() == (root / CONFIG).read_bytes()
    assert 0 == bake(root, "--check")
    assert 0 == bake(root, "--check", "-c", str(config))


def test_a_wrong_configuration_is_not_baked(root: Path, config: Path) -> None:
    """An image that could not ship is not made: exit 2, and nothing is changed."""
    config.write_text("[output.opensearch]\nurl = []\n")
    before = tree(root)
    assert 2 == bake(root, "-c", str(config))
    assert before == tree(root)


@pytest.mark.parametrize("name", ["usr/bin/shipper", PYZ, UNIT, CONFIG])
def test_check_sees_a_changed_file(
    root: Path, config: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One byte more is `different`, a lost file is `missing`, both end with 1."""
    bake(root, "-c", str(config))
    assert 0 == bake(root, "--check", "-c", str(config))
    with (root / name).open("ab") as file:
        file.write(b"\n")
    capsys.readouterr()
    assert 1 == bake(root, "--check", "-c", str(config))
    assert f"/{name}: different\n" in capsys.readouterr().out
    (root / name).unlink()
    assert 1 == bake(root, "--check", "-c", str(config))
    assert f"/{name}: missing\n" in capsys.readouterr().out


def test_check_sees_a_changed_mode_and_link(root: Path, config: Path) -> None:
    """A configuration that everybody may write, or a unit that isn't enabled, is off."""
    bake(root, "-c", str(config))
    (root / CONFIG).chmod(0o666)
    assert 1 == bake(root, "--check", "-c", str(config))
    bake(root, "-c", str(config))
    assert 0 == bake(root, "--check", "-c", str(config))
    (root / WANTED).unlink()
    (root / WANTED).symlink_to("/dev/null")
    assert 1 == bake(root, "--check")


def test_check_changes_nothing(root: Path) -> None:
    """On an empty root the check reports everything missing and leaves it empty."""
    before = tree(root)
    assert 1 == bake(root, "--check")
    assert before == tree(root)


def test_remove_takes_out_what_bake_put_in(root: Path) -> None:
    """The root is as it was before, to the directory."""
    (root / "etc").mkdir()
    (root / "etc/hostname").write_text("image\n")
    before = tree(root)
    bake(root)
    bake(root)
    assert 0 == bake(root, "--remove")
    assert before == tree(root)


def test_remove_keeps_what_was_changed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration that was edited after baking is somebody's work: it stays and is named."""
    bake(root)
    (root / CONFIG).write_text("# mine\n")
    capsys.readouterr()
    assert 0 == bake(root, "--remove")
    assert (
        "/etc/afterimage/shipper.toml: kept: it was changed after bake" in capsys.readouterr().out
    )
    assert {CONFIG} == {
        name for name in tree(root) if (root / name).is_file() and name.startswith("etc")
    }


def test_remove_from_an_untouched_root_does_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing was baked nothing is taken, even if files have the right names."""
    (root / "usr/bin/shipper").write_text("#!/bin/sh\n")
    before = tree(root)
    assert 0 == bake(root, "--remove")
    assert before == tree(root)
    assert "nothing was baked" in capsys.readouterr().err


def test_a_strangers_program_is_not_overwritten(root: Path) -> None:
    """Another `shipper` in the image stops the bake before anything is changed."""
    (root / "usr/bin/shipper").write_text("#!/bin/sh\n")
    before = tree(root)
    assert 2 == bake(root)
    assert before == tree(root)


def test_an_older_bake_is_upgraded(root: Path) -> None:
    """What the receipt names is ours: a newer shipper replaces it."""
    bake(root)
    expected = (root / PYZ).read_bytes()
    (root / PYZ).write_bytes(b"an older program")
    assert 0 == bake(root)
    assert expected == (root / PYZ).read_bytes()


def test_state_in_an_image_is_refused_by_the_check(
    root: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Instances of such an image would share one stream: the check says what to remove."""
    bake(root, "-c", str(config))
    state = root / "var/lib/afterimage"
    state.mkdir(parents=True)
    assert 0 == bake(root, "--check")
    (state / "stream").write_text("{}")
    capsys.readouterr()
    assert 1 == bake(root, "--check")
    assert f"rm -r {state}" in capsys.readouterr().err
    bake(root, "--remove")
    assert (state / "stream").exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[identity]\ninstance_id = "i-1"\n', "every instance of this image would claim to be i-1"),
        ('[state]\ndirectory = "/srv/state"\n', "ReadWritePaths=/srv/state"),
    ],
)
def test_a_configuration_that_no_image_should_have_is_refused_by_the_check(
    root: Path, config: Path, text: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right on one host and wrong in an image: one id for all, a folder the unit can't write."""
    config.write_text(text + config.read_text())
    assert 0 == bake(root, "-c", str(config))
    assert 1 == bake(root, "--check")
    assert what in capsys.readouterr().err


SIGV4 = 'auth = "sigv4"\nregion = "eu-central-1"\n'
OUTPUT = '[output.opensearch]\nurls = ["https://centre.example:9200"]\n'


@pytest.mark.parametrize(
    ("text", "there", "problem"),
    [
        (OUTPUT + SIGV4, "", 'auth = "sigv4" needs botocore'),
        (OUTPUT + SIGV4, "usr/lib/python3/dist-packages/botocore/__init__.py", ""),
        (OUTPUT + SIGV4, "usr/local/lib/python3.11/site-packages/botocore/__init__.py", ""),
        (OUTPUT + SIGV4, "usr/lib/python3.9/site-packages/botocore/__init__.py", "needs botocore"),
        ("[sources.journald]\n" + OUTPUT, "", "[sources.journald] needs libsystemd.so.0"),
        ("[sources.journald]\n" + OUTPUT, "usr/lib64/libsystemd.so.0", ""),
        ("[sources.journald]\n" + OUTPUT, "usr/lib/x86_64-linux-gnu/libsystemd.so.0", ""),
        ("[sources.journald]\n" + OUTPUT, "usr/lib/aarch64-linux-gnu/libsystemd.so.0", ""),
        ("[sources.stdin]\n" + OUTPUT, "", "has no input under systemd"),
    ],
)
def test_what_the_configuration_needs_has_to_be_in_the_image(
    root: Path, tmp_path: Path, there: str, text: str, problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The program is the standard library alone: what an extra needs is the image's to have.

    The baking machine's own packages do not count, nor another Python's.
    """
    if there:
        (root / there).parent.mkdir(parents=True, exist_ok=True)
        (root / there).touch()
    file = tmp_path / "own.toml"
    file.write_text(text)
    assert 0 == bake(root, "-c", str(file))
    warned = capsys.readouterr().err
    assert (1 if problem else 0) == bake(root, "--check", "-c", str(file))
    refused = capsys.readouterr().err
    assert bool(problem) == ("error: " in refused)
    assert problem in warned
    assert problem in refused


FORWARD = "[[sources.forward]]\nlisten = "
KEYED = FORWARD + '"tcp://0.0.0.0:24224"\nshared_key_file = '


@pytest.mark.parametrize(
    ("text", "there", "problem"),
    [
        (FORWARD + '"unix:///run/afterimage/f.sock"\n', "", ""),
        (FORWARD + '"unix:///var/lib/afterimage/f.sock"\n', "", ""),
        (FORWARD + '"tcp://127.0.0.1:24224"\n', "", ""),
        (FORWARD + '"unix:///tmp/f.sock"\n', "", "write unix:///run/afterimage/f.sock"),
        (FORWARD + '"unix:///run/afterimage/../f.sock"\n', "", "ReadWritePaths=/run/afterimage/.."),
        ('[metrics]\nlisten = "unix:///run/m.sock"\n', "", "metrics.listen is /run/m.sock"),
        (
            FORWARD + '"unix:///srv/app/f.sock"\n',
            "etc/systemd/system/afterimage-shipper.service.d/own.conf",
            "",
        ),
        (KEYED + '"/etc/afterimage/key"\n', "", "the image has no /etc/afterimage/key"),
        (KEYED + '"/etc/afterimage/key"\n', "etc/afterimage/key", ""),
        (KEYED + '"/run/secrets/key"\n', "", ""),
    ],
)
def test_what_the_unit_would_refuse_is_told_before_it_does(
    root: Path, tmp_path: Path, there: str, text: str, problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Sockets and keys that would keep every instance of the image from starting its shipper."""
    if there:
        (root / there).parent.mkdir(parents=True, exist_ok=True)
        (root / there).write_text("[Service]\nReadWritePaths=/opt -/srv/app\n")
    file = tmp_path / "own.toml"
    file.write_text(text + OUTPUT)
    assert 0 == bake(root, "-c", str(file))
    capsys.readouterr()
    assert (1 if problem else 0) == bake(root, "--check", "-c", str(file))
    refused = capsys.readouterr().err
    assert bool(problem) == ("error: " in refused), refused
    assert problem in refused


@pytest.mark.parametrize(
    ("names", "default", "expected"),
    [
        (["python3.11"], "python3.11", Interpreter("/usr/bin/env python3", "3.11")),
        (["python3.13"], "python3.13", Interpreter("/usr/bin/env python3", "3.13")),
        (["python3.9"], "python3.9", None),
        (["python3.9", "python3.11"], "python3.9", Interpreter("/usr/bin/python3.11", "3.11")),
        (
            ["python3.9", "python3.9-config", "python3.11", "python3.12"],
            "python3.9",
            Interpreter("/usr/bin/python3.12", "3.12"),
        ),
        (["python3.12"], "", Interpreter("/usr/bin/python3.12", "3.12")),
        ([], "", None),
        ([], "python3.12", None),
    ],
)
def test_the_images_own_python_is_found(
    tmp_path: Path, names: list[str], default: str, expected: Interpreter | None
) -> None:
    """Amazon Linux 2023's `python3` is 3.9 with newer ones beside it: the launcher names one."""
    folder = tmp_path / "usr/bin"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    if default:
        (folder / "python3").symlink_to(default)
    assert expected == find_interpreter(ImageRoot.open(tmp_path))


def test_the_launcher_names_the_python_that_is_new_enough(tmp_path: Path) -> None:
    """The line behind #! is the interpreter that was found in the image."""
    add_python(tmp_path, "python3.9", default=True)
    add_python(tmp_path, "python3.12", default=False)
    bake(tmp_path)
    first = (tmp_path / "usr/bin/shipper").read_text().splitlines()[0]
    assert "#!/usr/bin/python3.12" == first


def test_an_image_without_python_is_told(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the image is run to find out: it may be another machine's."""
    directory = tmp_path / "image"
    directory.mkdir()
    assert 0 == bake(directory, "-c", str(config))
    assert 1 == bake(directory, "--check")
    assert "the image has no Python 3.11 or newer" in capsys.readouterr().err


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the machine that bakes, which must stay as it is."""
    directory = tmp_path / "outside"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("name", ["etc", "usr/lib", "etc/afterimage", "usr/lib/systemd"])
def test_an_absolute_link_stays_inside_the_root(root: Path, outside: Path, name: str) -> None:
    """A link to `/…` means the image's own: nothing is written where the host has that path."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(outside)
    assert 0 == bake(root)
    assert [] == list(outside.iterdir())
    inside = root / str(outside).lstrip("/")
    assert [] != list(inside.iterdir())
    assert 0 == bake(root, "--remove")
    assert [] == list(outside.iterdir())


@pytest.mark.parametrize("name", ["usr/bin/shipper", PYZ, UNIT, WANTED])
def test_a_link_in_a_files_place_is_a_strangers(root: Path, outside: Path, name: str) -> None:
    """It is not written through, neither to the image's file nor to the host's."""
    target = outside / "target"
    target.write_text("the host's own")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(target)
    assert 2 == bake(root)
    assert "the host's own" == target.read_text()
    assert [target] == list(outside.iterdir())


def test_a_linked_configuration_is_the_images_own(root: Path, outside: Path, config: Path) -> None:
    """A link is read inside the image, and replaced by -c FILE, never written through."""
    target = outside / "target"
    target.write_text("the host's own")
    (root / CONFIG).parent.mkdir(parents=True)
    (root / CONFIG).symlink_to("/srv/shipper.toml")
    (root / "srv").mkdir()
    shutil.copy(config, root / "srv/shipper.toml")
    assert 0 == bake(root)
    assert (root / CONFIG).is_symlink()
    assert 0 == bake(root, "--check")
    (root / CONFIG).unlink()
    (root / CONFIG).symlink_to(target)
    assert 0 == bake(root, "-c", str(config))
    assert not (root / CONFIG).is_symlink()
    assert "the host's own" == target.read_text()


def test_many_dots_stay_inside_the_root(root: Path, outside: Path) -> None:
    """The root's parent is the root, as in the booted image."""
    (root / "etc").symlink_to("../../../../../../../../.." + str(outside))
    assert 0 == bake(root)
    assert [] == list(outside.iterdir())


def test_a_merged_usr_is_followed(root: Path) -> None:
    """`/lib` → `usr/lib` and relative links are what distributions have."""
    (root / "usr/lib").mkdir()
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib/systemd").symlink_to("../share/systemd")
    (root / "usr/share/systemd").mkdir(parents=True)
    assert 0 == bake(root)
    assert (root / "usr/share/systemd/system/afterimage-shipper.service").is_file()


def test_a_circle_of_links_is_an_error(root: Path) -> None:
    """It ends, and says which path it was."""
    (root / "etc").symlink_to("/a")
    (root / "a").symlink_to("/etc")
    with pytest.raises(ConfigError, match="is a circle of links"):
        image.install(ImageRoot.open(root), None)


def test_a_hostile_receipt_removes_nothing_outside(root: Path, outside: Path) -> None:
    """A receipt is the image's word: its paths count inside the root alone."""
    target = outside / "target"
    target.write_text("the host's own")
    bake(root)
    receipt = root / "usr/lib/afterimage/bake.json"
    document = json.loads(receipt.read_text())
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    document["files"] = {str(target): digest, f"/../../..{target}": digest}
    document["directories"] = [str(outside), "/../.." + str(outside)]
    receipt.write_text(json.dumps(document))
    assert 0 == bake(root, "--remove")
    assert "the host's own" == target.read_text()


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"schema": "afterimage.bake"}'])
def test_a_damaged_receipt_is_none(root: Path, data: bytes) -> None:
    """Nothing is removed on the word of a receipt that can't be read."""
    bake(root)
    (root / "usr/lib/afterimage/bake.json").write_bytes(data)
    before = tree(root)
    assert 0 == bake(root, "--remove")
    assert before == tree(root)


def test_a_root_that_is_none_is_two(tmp_path: Path) -> None:
    """A missing root, or a file, is a wrong argument."""
    file = tmp_path / "file"
    file.touch()
    assert 2 == bake(tmp_path / "nothing")
    assert 2 == bake(file)


def test_json_has_schema_and_version(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get one document with every file and every problem."""
    assert 0 == bake(root, "--json")
    document = json.loads(capsys.readouterr().out)
    assert ("afterimage.shipper.bake", 1, "install") == (
        document["schema"], document["version"], document["action"],
    )  # fmt: skip
    assert {"installed"} == {one["what"] for one in document["files"]}
    assert 1 == len(document["problems"])


def test_the_program_is_built_the_same_each_time() -> None:
    """No time, order or compression differs between two builds."""
    assert build_program() == build_program()


def test_the_baked_default_names_every_table(root: Path) -> None:
    """The file in the image parses, but for the output that it can't know."""
    bake(root)
    _, problems = parse_config((root / CONFIG).read_text())
    assert ["output.opensearch.urls"] == [problem.key for problem in problems]


def unit_values(key: str) -> list[str]:
    """What the unit says under a key."""
    text = read_unit().decode()
    return [
        word for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE) for word in line.split()
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("After", "network.target"),
        ("Before", "network-online.target"),
        ("Restart", "always"),
        ("KillMode", "mixed"),
        ("TimeoutStopSec", "90"),
        ("StateDirectory", "afterimage"),
        ("RuntimeDirectory", "afterimage"),
        ("RuntimeDirectoryMode", "0755"),
        ("MemoryDenyWriteExecute", "yes"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", "CAP_DAC_READ_SEARCH"),
        ("OOMScoreAdjust", "-500"),
        ("StartLimitIntervalSec", "0"),
    ],
)
def test_the_unit_keeps_its_promises(key: str, value: str) -> None:
    """It stops after the applications and before the network, restarts for ever, may do little."""
    assert value in unit_values(key)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own refusal is Linux's")
def test_libsystemd_is_called_under_the_units_refusal_of_new_code() -> None:
    """MemoryDenyWriteExecute and ctypes go together, as long as nothing needs a callback."""
    code = (
        "import ctypes, mmap\n"
        "ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)\n"  # PR_SET_MDWE, Linux 6.3
        "try:\n"
        "    mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "    raise SystemExit('this kernel has no such refusal')\n"
        "except OSError:\n"
        "    pass\n"
        "from shipper.errors import ConfigError\n"
        "from shipper.sources.libsystemd import Libsystemd\n"
        "try:\n"
        "    Libsystemd()\n"
        "except ConfigError:\n"
        "    raise SystemExit('no libsystemd here')\n"
        "print('called')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    if done.stderr.startswith(("this kernel", "no libsystemd")):
        pytest.skip(done.stderr)
    assert "called\n" == done.stdout, done.stderr


TARGETS = [
    "sysinit", "network", "remote-fs", "local-fs", "shutdown", "umount", "swap", "paths", "slices",
    "sockets", "timers", "network-pre", "remote-fs-pre", "local-fs-pre",
]  # fmt: skip
UNITS = {
    "basic.target": "[Unit]\nDefaultDependencies=no\nWants=sysinit.target\nAfter=sysinit.target\n",
    "multi-user.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\n",
    "network-online.target": "[Unit]\nAfter=network.target\n",
    # As distributions have them: one network service starts after basic.target, one before.
    "NetworkManager.service": "[Unit]\nWants=network.target\nBefore=network.target\n"
    "[Service]\nExecStart=/usr/bin/app\n",
    "systemd-networkd.service": "[Unit]\nDefaultDependencies=no\nWants=network.target\n"
    "Before=network.target\n[Service]\nExecStart=/usr/bin/app\n",
    "app.service": "[Unit]\nWants=network-online.target remote-fs.target\n"
    "After=network-online.target remote-fs.target\n[Service]\nExecStart=/usr/bin/app\n",
}


def needs_systemd(test: Callable[..., None]) -> Callable[..., None]:
    """Where systemd is installed the test always runs, elsewhere only where everything must."""
    return test if shutil.which("systemd-analyze") else pytest.mark.everything(test)


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    """What systemd says of starting the image's multi-user.target."""
    return subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", "multi-user.target"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_systemd
def test_systemd_takes_the_unit_and_orders_it_without_a_cycle(root: Path) -> None:
    """Every key is known, the launcher is executable, and the order fits a machine's network."""
    bake(root)
    folder = root / "usr/lib/systemd/system"
    for name in TARGETS:
        (folder / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    for name, text in UNITS.items():
        (folder / name).write_text(text)
    wants = folder / "multi-user.target.wants"
    wants.mkdir()
    for name in UNITS:
        if name.endswith(".service"):
            (wants / name).symlink_to(f"../{name}")
    app = root / "usr/bin/app"
    app.write_text("#!/bin/sh\n")
    app.chmod(0o755)
    done = verify(root)
    assert (0, "") == (done.returncode, done.stderr)
    # What the unit's comment warns of, asked the same way: systemd finds the cycle.
    unit = folder / "afterimage-shipper.service"
    early = "[Unit]\nDefaultDependencies=no\nBefore=basic.target\n"
    unit.write_text(unit.read_text().replace("[Unit]\n", early, 1))
    assert "ordering cycle" in verify(root).stderr
