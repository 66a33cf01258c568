"""The configuration: what is right is taken, what is wrong is named with its line, all at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest

from shipper.config import (
    MASK_NAMES,
    MULTILINE_PRESETS,
    Config,
    DropConfig,
    ForwardConfig,
    IdentityConfig,
    JournaldConfig,
    LimitsConfig,
    MaskConfig,
    MetricsConfig,
    OutputConfig,
    RateConfig,
    StdinConfig,
    TailConfig,
)
from shipper.config_keys import KEYS, TABLES
from shipper.config_reader import load_config, parse_config
from shipper.config_rendering import EXAMPLE, render_default_config, render_reference
from shipper.config_rules import output_warnings
from shipper.errors import ConfigError
from shipper.wire import multiline, secret_kinds

REFERENCE = Path(__file__).parents[2] / "docs" / "config.md"

OUTPUT = '[output.opensearch]\nurls = ["https://centre.example:9200"]\n'

WHOLE = r"""
[identity]
instance_id = "i-0123456789abcdef0"
image_id = "ami-0123456789abcdef0"
[state]
directory = "/srv/afterimage"
[[sources.tail]]
paths = ["/var/log/app/*.log"]
multiline_start = '^\d{4}-'
multiline_seconds = 2
[[sources.tail]]
paths = ["/var/lib/docker/containers/*/*-json.log"]
format = "docker"
multiline = "java"
[[sources.tail]]
multiline_continuation = '^\s'
[[sources.forward]]
listen = "unix:///run/afterimage/forward.sock"
[[sources.forward]]
listen = "tcp://0.0.0.0:24224"
shared_key_file = "/etc/afterimage/key"
[sources.journald]
directory = "/var/log/journal"
[sources.stdin]
name = "console"
[[transforms.mask]]
patterns = ['password=(\S+)', 'token']
paths = ["/var/log/app/*.log", "journald", "forward:unix:///run/afterimage/forward.sock"]
[[transforms.drop]]
reason = "health checks"
pattern = "GET /healthz"
[[transforms.rate]]
reason = "flood"
records_per_second = 100
burst = 1000
paths = ["console"]
[limits]
in_flight_mib = 8
spool_mib = 64
held_percent = 5
[metrics]
listen = "tcp://[::1]:9464"
[output.opensearch]
urls = ["https://a.example:9200/logs", "http://[::1]:9200/"]
username_file = "/etc/afterimage/user"
password_file = "/etc/afterimage/password"
ca_file = "/etc/afterimage/ca.pem"
client_cert_file = "/etc/afterimage/cert.pem"
client_key_file = "/etc/afterimage/key.pem"
"""


def problems_of(text: str) -> list[tuple[int, str]]:
    """Line and text of everything that is wrong with a configuration."""
    config, problems = parse_config(text)
    assert (config is None) == bool(problems)
    return [(problem.line, problem.what) for problem in problems]


def test_every_key_is_read() -> None:
    """A configuration that uses every table gives exactly the values it says."""
    config, problems = parse_config(WHOLE)
    assert () == problems
    assert (
        Config(
            identity=IdentityConfig(
                instance_id="i-0123456789abcdef0", image_id="ami-0123456789abcdef0"
            ),
            state_directory=Path("/srv/afterimage"),
            tails=(
                TailConfig(
                    paths=("/var/log/app/*.log",),
                    multiline_start=r"^\d{4}-",
                    multiline_seconds=2.0,
                ),
                TailConfig(
                    paths=("/var/lib/docker/containers/*/*-json.log",),
                    format="docker",
                    multiline="java",
                ),
                TailConfig(multiline_continuation=r"^\s"),
            ),
            forwards=(
                ForwardConfig(listen="unix:///run/afterimage/forward.sock"),
                ForwardConfig(
                    listen="tcp://0.0.0.0:24224", shared_key_file=Path("/etc/afterimage/key")
                ),
            ),
            journald=JournaldConfig(directory=Path("/var/log/journal")),
            stdin=StdinConfig(name="console"),
            masks=(
                MaskConfig(
                    patterns=(r"password=(\S+)", "token"),
                    paths=(
                        "/var/log/app/*.log",
                        "journald",
                        "forward:unix:///run/afterimage/forward.sock",
                    ),
                ),
            ),
            drops=(DropConfig(reason="health checks", pattern="GET /healthz"),),
            rates=(
                RateConfig(reason="flood", records_per_second=100, burst=1000, paths=("console",)),
            ),
            limits=LimitsConfig(in_flight_mib=8, spool_mib=64, held_percent=5),
            metrics=MetricsConfig(listen="tcp://[::1]:9464"),
            output=OutputConfig(
                urls=("https://a.example:9200/logs", "http://[::1]:9200/"),
                username_file=Path("/etc/afterimage/user"),
                password_file=Path("/etc/afterimage/password"),
                ca_file=Path("/etc/afterimage/ca.pem"),
                client_cert_file=Path("/etc/afterimage/cert.pem"),
                client_key_file=Path("/etc/afterimage/key.pem"),
            ),
        )
        == config
    )


def test_everything_but_the_output_has_a_default() -> None:
    """Two lines are a whole configuration: the design's default paths and state folder hold."""
    config, problems = parse_config(OUTPUT)
    assert () == problems
    assert config is not None
    assert Path("/var/lib/afterimage") == config.state_directory
    assert (
        TailConfig(paths=("/var/log/**/*.log", "/var/log/syslog", "/var/log/messages")),
    ) == config.tails
    assert IdentityConfig() == config.identity


def test_the_names_of_presets_are_those_that_the_code_knows() -> None:
    """The table names each, so that configuration and code can't drift apart."""
    assert tuple(multiline.PRESETS) == MULTILINE_PRESETS
    assert tuple(secret_kinds.BUILTIN) == MASK_NAMES


def test_an_empty_file_lacks_only_the_output() -> None:
    """Nothing at all is one problem: where to ship is the only thing nobody can guess."""
    assert [
        (
            1,
            'output.opensearch.urls is missing: e.g. urls = ["https://centre.example:9200"]',
        )
    ] == problems_of("")


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    """One error names file, line and key of every problem: no fixing one by one."""
    file = tmp_path / "shipper.toml"
    file.write_text(
        "[identity]\n"
        "image_id = 4\n"
        "[[sources.tail]]\n"
        "paths = [\n"
        '  "/var/log/a.log",  # a comment with ] and = in it\n'
        '  "relative.log",\n'
        "]\n"
        "[output.opensearch]\n"
        'url = ["https://centre.example"]\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    text = str(caught.value)
    assert [2, 6, 8, 9] == [int(n) for n in re.findall(rf"{re.escape(str(file))}:(\d+):", text)]
    assert "has 4 problems" in text
    assert "did you mean urls?" in text


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[identiy]\n", 1, "identiy is unknown: did you mean identity?"),
        ('\n[identity]\ninstanceid = "i-1"\n', 3, "did you mean instance_id?"),
        ('[[sources.tail]]\npath = ["/a"]\n', 2, "did you mean paths?"),
        ('[[sources.tail]]\npaths = ["/a"]\n[[sources.tail]]\nx = 1\n', 4, "there are paths, f"),
        ("[sources.journal]\n", 1, "did you mean journald?"),
        ("[[transforms.mask]]\npattern = 'x'\n", 2, "did you mean patterns?"),
        ("[[transforms.drops]]\n", 1, "did you mean drop?"),
        ("[sources.journald]\nlisten = 1\n", 2, "[[sources.forward]] or [metrics]"),
        ("[sources.tial]\n", 1, "did you mean tail?"),
        ('[output]\nurls = ["https://a"]\n', 2, "urls belongs in [output.opensearch]"),
        ("[output.elastic]\n", 1, "there are opensearch"),
        ("zzz = 1\n", 1, "there are identity, state, sources, transforms, limits, metrics, output"),
        ('"iden\\u001btity" = 1\n', 1, "iden\\x1btity is unknown"),
        ('identity.instanceid = "i-1"\n', 1, "did you mean instance_id?"),
        ('identity = {image_id = "a", imageid = "b"}\n', 1, "did you mean image_id?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(text: str, line: int, what: str) -> None:
    """A typing mistake is never a silent default, in whatever way TOML lets it be written."""
    # A bare key at the top has to stand before the first table.
    found = problems_of(text + OUTPUT if "[output]" not in text else text)
    assert any(at == line and what in told for at, told in found), found


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (
            '[[sources.forward]]\nlisten = "tcp://127.0.0.1:1"\n[sources.forward]\n',
            3,
            "write [[sources.forward]], in two pairs of brackets, each time",
        ),
        ("[sources.forward]\n[[ sources.forward ]]\n", 2, "write [[sources.forward]]"),
        ("[sources.tail]\n[sources.tail]\n", 2, "write [[sources.tail]]"),
        ("[limits]\n[limits]\n", 2, "[limits] stands here again: write it once"),
        ("[x]\n[x]\n", 2, "not TOML: Cannot declare"),
        ("a.b = 1\na = 2\n", 2, "not TOML: Cannot overwrite a value"),
    ],
)
def test_a_table_that_stands_twice_is_told_in_words(text: str, line: int, what: str) -> None:
    """TOML's own reader says only that it can't overwrite a value."""
    [(at, told)] = problems_of(text)
    assert (line, True) == (at, what in told), told


def test_a_listener_without_an_address_is_no_source() -> None:
    """What it is called nobody knows: a rule for it is judged once it has one."""
    text = "[[sources.forward]]\n[[transforms.mask]]\nbuiltin = ['jwt']\npaths = ['forward:*']\n"
    [(_, what)] = problems_of(text + OUTPUT)
    assert "sources.forward.listen is missing" in what
    right = text.replace("]]\n", "]]\nlisten = 'unix:///run/afterimage/f.sock'\n", 1)
    assert [] == problems_of(right + OUTPUT)
    [(_, what)] = problems_of(right.replace("forward:*", "forward:t*") + OUTPUT)
    assert "there are forward:unix:///run/afterimage/f.sock" in what


@pytest.mark.parametrize(
    ("text", "tails"),
    [
        ("", (TailConfig(),)),
        ("[sources]\n", (TailConfig(),)),
        ("[[sources.tail]]\n", (TailConfig(),)),
        ("[sources.journald]\n", ()),
        ("sources.stdin = {}\n", ()),
        ('[[sources.forward]]\nlisten = "tcp://127.0.0.1:24224"\n', ()),
        ("[sources.journald]\n[[sources.tail]]\n", (TailConfig(),)),
    ],
)
def test_the_default_files_are_followed_where_no_source_is_named(
    text: str, tails: tuple[TailConfig, ...]
) -> None:
    """Who names a source says what is shipped; who names none gets the usual files."""
    config, problems = parse_config(text + OUTPUT)
    assert () == problems
    assert config is not None
    assert tails == config.tails


def test_a_table_switches_on_by_standing_there() -> None:
    """journald, stdin and metrics are off without their table and on with an empty one."""
    config, _ = parse_config(OUTPUT)
    assert config is not None
    assert (None, None, None) == (config.journald, config.stdin, config.metrics)
    config, _ = parse_config("[sources.journald]\n[sources.stdin]\n" + OUTPUT)
    assert config is not None
    assert (JournaldConfig(), StdinConfig()) == (config.journald, config.stdin)


def test_sigv4_is_read() -> None:
    """A signature's region and service are taken; the service is a domain's by default."""
    text = OUTPUT + 'auth = "sigv4"\nregion = "eu-central-1"\n'
    config, problems = parse_config(text)
    assert () == problems
    assert config is not None
    assert ("sigv4", "eu-central-1", "es") == (
        config.output.auth,
        config.output.region,
        config.output.service,
    )


TAIL = '[[sources.tail]]\npaths = ["/a"]\n'
FORWARD = '[[sources.forward]]\nlisten = "'


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (OUTPUT + 'auth = "sigv4"\n', 3, 'auth needs region beside "sigv4"'),
        (
            OUTPUT + 'auth = "sigv4"\nregion = "eu-west-1"\nusername_file = "/u"\n'
            'password_file = "/p"\n',
            5,
            "username_file can't go with auth",
        ),
        (OUTPUT + 'region = "eu-west-1"\n', 3, 'region is only for auth = "sigv4"'),
        (OUTPUT + 'service = "aoss"\n', 3, 'service is only for auth = "sigv4"'),
        (
            TAIL + "multiline = 'java'\nmultiline_start = '^x'\n" + OUTPUT,
            4,
            "multiline_start can't go with multiline: choose one",
        ),
        (
            TAIL + "multiline_start = '^x'\nmultiline_continuation = '^ '\n" + OUTPUT,
            4,
            "multiline_continuation can't go with multiline_start",
        ),
        (TAIL + "multiline_seconds = 1\n" + OUTPUT, 3, "multiline_seconds needs multiline,"),
        ("[[transforms.mask]]\npaths = ['/a']\n" + OUTPUT, 1, "transforms.mask masks nothing"),
        (FORWARD + 'tcp://0.0.0.0:1"\n' + OUTPUT, 2, "needs shared_key_file beside it"),
        (FORWARD + 'tcp://app.example:1"\n' + OUTPUT, 2, "needs shared_key_file beside it"),
        (
            FORWARD + 'tcp://127.0.0.1:1"\n' + FORWARD + 'tcp://127.0.0.1:1"\n' + OUTPUT,
            4,
            "is taken: another table listens on tcp://127.0.0.1:1",
        ),
        (
            FORWARD + 'unix:///x"\n[metrics]\nlisten = "unix:///x"\n' + OUTPUT,
            4,
            "metrics.listen is taken",
        ),
        ('[metrics]\nlisten = "tcp://10.0.0.1:1"\n' + OUTPUT, 2, "must be this machine's alone"),
    ],
)
def test_values_that_contradict_each_other_are_refused(text: str, line: int, what: str) -> None:
    """What is right by itself and wrong together is told where the later one stands."""
    told = problems_of(text)
    assert any(at == line and what in one for at, one in told), told


def test_a_wrong_value_does_not_hide_a_contradiction() -> None:
    """All problems are told at once, also those between keys."""
    told = problems_of("[limits]\nspool_mib = 0\n" + OUTPUT + 'auth = "sigv4"\n')
    assert [2, 5] == [line for line, _ in told]


@pytest.mark.parametrize(
    ("listen", "what"),
    [
        ("unix://run/x.sock", "must name a file by its absolute path"),
        ("unix:///run/x/", "must name a file by its absolute path"),
        ("/run/x.sock", "must start with unix:/// or tcp://"),
        ("http://127.0.0.1:1", "must start with unix:/// or tcp://"),
        ("unix:///" + "x" * 107, "has a path of 108 bytes"),
        ("unix:///" + "ü" * 54, "has a path of 109 bytes"),
        ("tcp://127.0.0.1", "names no port"),
        ("tcp://127.0.0.1:0", "names no port"),
        ("tcp://:24224", "names no host"),
        ("tcp://127.0.0.1:99999", "is no address"),
        ("tcp://127.0.0.1:1/x", "nothing more"),
        ("tcp://user@127.0.0.1:1", "nothing more"),
        ("tcp://127.0.0.1:1\\u0000", "control characters"),
    ],
)
def test_an_address_that_nobody_can_listen_on_is_refused(listen: str, what: str) -> None:
    """A socket's path has the kernel's limit; a port has to be named, since senders need it."""
    [(line, told)] = problems_of(f'{FORWARD}{listen}"\n' + OUTPUT)
    assert 2 == line
    assert what in told


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://user:secret-word@centre.example", "contains credentials"),
        ("https://user:pa#secret-word@centre.example", "contains credentials"),
        ("centre.example:9200", "must start with http:// or https://"),
        ("ftp://centre.example", "must start with http:// or https://"),
        ("https://", "names no host"),
        ("https://:9200", "names no host"),
        ("https://centre.example:0", "names port 0"),
        ("https://centre.example:99999", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://centre.example/path#x", "must end with the path"),
        ("https://centre.example?x=1", "must end with the path"),
        ("https://centre example", "white space or control characters"),
        ("https://centre\\u0000.example", "white space or control characters"),
        ("", "is empty"),
    ],
)
def test_a_url_that_could_not_work_is_refused(url: str, what: str) -> None:
    """A URL without scheme or host, with credentials or with more than host and port is told."""
    [(line, told)] = problems_of(f'[output.opensearch]\nurls = ["https://a", "{url}"]\n')
    assert 2 == line
    assert what in told
    assert "secret-word" not in told


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[state]\ndirectory = "relative"\n', "must be absolute"),
        ('[state]\ndirectory = "~/state"\n', "~ is not expanded"),
        ('[state]\ndirectory = ""\n', "is empty"),
        ('[state]\ndirectory = "/a\\u0000b"\n', "control characters"),
        ("[state]\ndirectory = true\n", "must be a string, is true or false"),
        ("state = 3\n", "must be a table: write [state]"),
        ('[[state]]\ndirectory = "/a"\n', "must be a table: write [state]"),
        ("[[sources.tail]]\npaths = []\n", "is empty: name at least one"),
        ('[[sources.tail]]\npaths = ""\n', "must be a list of strings, is a string"),
        ('[[sources.tail]]\npaths = [""]\n', "is empty"),
        ('[[sources.tail]]\npaths = ["/var/log/"]\n', "matches directories"),
        ("[[sources.tail]]\npaths = [1979-05-27]\n", "must be a string, is a date or time"),
        ('[sources.tail]\npaths = ["/a"]\n', "write [[sources.tail]]"),
        ("sources = {tail = []}\n", "is empty: leave it out"),
        ('sources = {tail = ["/a"]}\n', "write [[sources.tail]]"),
        ("sources = 3\n", "sources must be a table"),
        ('[identity]\ninstance_id = ""\n', "is empty"),
        ('[identity]\ninstance_id = "a b"\n', "white space or control"),
        ('[identity]\ninstance_id = "a\\u001b[31m"\n', "white space or control"),
        (f'[identity]\ninstance_id = "{"a" * 129}"\n', "has 129 characters, at most 128"),
        (f'[identity]\nregion = "{"a" * 257}"\n', "has 257 characters, at most 256"),
        ('[identity]\ngroup = "a\\nb"\n', "control characters"),
        ("transforms = []\n", "transforms must be a table: write [[transforms.mask]]"),
        ("sources = {journald = 1}\n", "must be a table: write [sources.journald], once"),
        ("[[sources.journald]]\n", "must be a table: write [sources.journald], once"),
        ("[[sources.forward]]\n", "sources.forward.listen is missing: e.g. listen ="),
        ('[[sources.tail]]\nformat = "dokcer"\n', "did you mean docker?"),
        ('[[sources.tail]]\nformat = "xml"\n', "there are lines, docker, cri"),
        ('[[sources.tail]]\nmultiline_start = "("\n', "is no regular expression"),
        ('[[sources.tail]]\nmultiline_start = ""\n', "is empty: it would match everything"),
        (f'[[sources.tail]]\nmultiline_start = "{"a" * 1025}"\n', "has 1025 bytes, at most 1024"),
        ('[[sources.tail]]\nmultiline_start = "(a+)+b"\n', "take for ever"),
        ("[[transforms.drop]]\nreason = 'x'\npattern = 'x*'\n", "matches the empty text"),
        ("[[sources.tail]]\nmultiline_seconds = 0\n", "must be between 0.1 and 3600, is 0"),
        ("[[sources.tail]]\nmultiline_seconds = inf\n", "must be a number of seconds, is inf"),
        ("[[sources.tail]]\nmultiline_seconds = true\n", "is true or false"),
        ("[limits]\nin_flight_mib = 0\n", "must be between 4 and 1024, is 0"),
        ("[limits]\nin_flight_mib = 1.5\n", "must be a whole number, is 1.5"),
        ('[limits]\nheld_percent = "10"\n', "must be a whole number, is a string"),
        ("[limits]\nheld_percent = true\n", "must be a whole number, is true or false"),
        ('[[transforms.drop]]\npattern = "x"\n', "transforms.drop.reason is missing"),
        ('[[transforms.drop]]\nreason = " "\n', "reason is empty"),
        (f'[[transforms.drop]]\nreason = "{"a" * 65}"\n', "has 65 characters, at most 64"),
        ("[[transforms.rate]]\nrecords_per_second = -1\n", "must be between 1 and"),
        ('[[transforms.mask]]\nbuiltin = ["jwtt"]\n', "did you mean jwt?"),
        (
            '[[transforms.mask]]\nbuiltin = ["AWS"]\n',
            "did you mean aws-access-key or aws-secret-key?",
        ),
        ('[[transforms.mask]]\nbuiltin = ["google_key"]\n', "did you mean google-api-key?"),
        ('[[transforms.mask]]\nbuiltin = ["-"]\n', "there are aws-access-key"),
        ("[[transforms.mask]]\nbuiltin = []\n", "is empty: name at least one"),
        ('[[transforms.mask]]\npatterns = ["a", "("]\n', "is no regular expression"),
        ('[[transforms.mask]]\npaths = ["relative"]\n', "only files are followed"),
        ("[[transforms.mask]]\npaths = ['/a', '']\n", "is empty: name a source"),
        (
            '[sources.journald]\n[[transforms.mask]]\npaths = ["journal"]\n',
            "names no source: 'journal' is no absolute pattern, and there are journald",
        ),
        ('[sources.stdin]\nname = ""\n', "name is empty"),
        ('[output.opensearch]\nurls = ["http://a"]\nregion = "mars"\n', "is no region"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(text: str, what: str) -> None:
    """Types, emptiness, relative paths and unprintable ids are found before anything starts."""
    told = problems_of(text if "[output" in text else text + OUTPUT)
    assert any(what in one for _, one in told), told


@pytest.mark.parametrize(
    ("given", "other"),
    [
        ("username_file", "password_file"),
        ("password_file", "username_file"),
        ("client_cert_file", "client_key_file"),
        ("client_key_file", "client_cert_file"),
    ],
)
def test_one_half_of_a_pair_is_refused(given: str, other: str) -> None:
    """A user without a password, or a certificate without its key, is a mistake."""
    assert [(3, f"output.opensearch.{given} needs {other} beside it")] == problems_of(
        f'{OUTPUT}{given} = "/etc/x"\n'
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[identity\n", 1),
        ("[state]\ndirectory = /var/lib\n", 2),
        ("[state]\ndirectory = '/a'\ndirectory = '/b'\n", 3),
        ('[state]\ndirectory = "unfinished\n', 2),
    ],
)
def test_broken_toml_is_told_with_its_line(text: str, line: int) -> None:
    """A syntax error is one problem, at the line that tomllib names."""
    [(at, told)] = problems_of(text)
    assert line == at
    assert told.startswith("not TOML: ")


def test_deep_nesting_is_refused_and_does_not_crash() -> None:
    """A document nested past Python's stack is a problem, not a traceback."""
    [(_, told)] = problems_of("a = " + "[" * 20_000 + "]" * 20_000)
    assert "is nested too deep" == told


def _missing(path: Path) -> None:
    assert not path.exists()


def _directory(path: Path) -> None:
    path.mkdir()


def _latin_1(path: Path) -> None:
    path.write_bytes(b'[identity]\nhost_name = "caf\xe9"\n')


def _huge(path: Path) -> None:
    path.write_bytes(b"#" * (1 << 20) + b"\n")


@pytest.mark.parametrize(
    ("make", "line", "what"),
    [
        (_missing, 0, "can't be read: No such file or directory"),
        (_directory, 0, "can't be read: Is a directory"),
        (_latin_1, 2, "is not UTF-8"),
        (_huge, 0, "is over 1 MiB"),
    ],
)
def test_a_file_that_is_none_is_a_config_error(
    make: Callable[[Path], None], line: int, what: str, tmp_path: Path
) -> None:
    """Missing, a directory, another encoding, or far too large: each says so."""
    file = tmp_path / "shipper.toml"
    make(file)
    place = f"{file}:{line}" if line else file  # no line 0, which no editor can open
    with pytest.raises(ConfigError, match=re.escape(f"{place}: {what}")):
        load_config(file)


def test_the_default_configuration_is_the_default() -> None:
    """The baked file lacks only the output, and with one it says what an empty one says."""
    text = render_default_config()
    [(_, told)] = problems_of(text)
    assert "output.opensearch.urls is missing" in told
    assert max(map(len, text.splitlines())) <= 110
    with_output = text.replace("# urls =", "urls =")
    assert parse_config(OUTPUT) == parse_config(with_output)


def test_the_default_configuration_shows_every_key() -> None:
    """Who opens the baked file sees all there is."""
    text = render_default_config()
    assert [] == [
        key.name for key in KEYS if not re.search(rf"^#? ?{key.name} = ", text, re.MULTILINE)
    ]
    assert [] == [
        name
        for name, table in TABLES.items()
        if not re.search(rf"^#? ?{re.escape(table.header(name))}$", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("name", TABLES)
def test_each_line_of_the_default_configuration_can_be_taken_into_force(name: str) -> None:
    """What is commented out is right as it stands, by itself."""
    lines = iter(render_default_config().splitlines())
    header = TABLES[name].header(name)
    next(line for line in lines if line.removeprefix("# ") == header)
    block = list(takewhile(bool, lines))
    names = [key.name for key in KEYS if key.table == name]
    values = [
        line.removeprefix("# ") for line in block if re.match(rf"(# )?({'|'.join(names)}) = ", line)
    ]
    assert names == [value.split(" = ")[0] for value in values]
    for value in values:
        at = f"{name}.{value.split(' = ')[0]} "
        assert [] == [
            what
            for _, what in problems_of(f"{header}\n{value}\n")
            if what.startswith(at) and "beside" not in what and "is only for auth" not in what
        ]


def test_the_example_is_right() -> None:
    """The reference's example with all inputs is a configuration."""
    config, problems = parse_config(EXAMPLE)
    assert () == problems
    assert config is not None
    assert (3, 2) == (len(config.tails), len(config.forwards))


def test_the_reference_is_generated_from_the_table() -> None:
    """docs/config.md is what the table says; a difference names the command that repairs it."""
    command = (
        "python -c 'from shipper.config_rendering import render_reference; "
        'print(render_reference(), end="")\' > docs/config.md'
    )
    assert render_reference() == REFERENCE.read_text(encoding="utf-8"), f"run: {command}"


def test_the_reference_names_every_key_and_table() -> None:
    """No key is without documentation."""
    reference = render_reference()
    assert [] == [key.name for key in KEYS if f"| `{key.name}` | " not in reference]
    assert [] == [table for table in TABLES if f"[{table}]" not in reference]


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("http://centre.example", 1),
        ("https://centre.example", 0),
        ("http://127.0.0.1:9200", 0),
        ("http://127.9.9.9", 0),
        ("http://[::1]:9200", 0),
        ("http://LocalHost", 0),
        ("http://127.evil.example", 1),
        ("http://localhost.example", 1),
    ],
)
def test_plain_http_off_the_machine_is_warned_of(url: str, count: int) -> None:
    """Unencrypted records are allowed, and said."""
    assert count == len(output_warnings(OutputConfig(urls=(url,))))


def test_a_password_over_plain_http_is_named() -> None:
    """The warning says that it is the password that anyone can read."""
    output = OutputConfig(
        urls=("http://centre.example",), username_file=Path("/u"), password_file=Path("/p")
    )
    [warning] = output_warnings(output)
    assert "the password goes unencrypted to http://centre.example: use https" == warning
