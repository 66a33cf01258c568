"""Each finding from the words that programs, kernels and AWS really write, and from none other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.findings.fatal_error import find_fatal_error
from forensics.findings.finding import Confidence, Finding
from forensics.findings.memory_exhausted import find_memory_exhausted
from forensics.findings.rank import find_all
from forensics.findings.replaced import find_replaced
from forensics.findings.silence import find_silence
from forensics.ledger.model import InstanceState
from tests.forensics.findings.observed import at, event, observe, record

KERNEL = (
    "kernel: [123.4] python3 invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE), order=0",
    "Out of memory: Killed process 1234 (java) total-vm:8123456kB, anon-rss:4123456kB",
    "Memory cgroup out of memory: Killed process 99 (gunicorn) total-vm:1kB",
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0",
)
RUNTIME = (
    "MemoryError",
    "MemoryError: Unable to allocate 1.2 GiB for an array",
    "2026-01-03 ERROR worker died: MemoryError",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
    "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
    "fatal error: runtime: out of memory",
    "memory allocation of 1073741824 bytes failed",
)
INNOCENT = (
    "memory usage 91%",
    "MemoryErrorHandler registered",
    "GET /exit?code=1370 200",
    "user asked for memory cards, 137 found",
    "allocated 12 MB",
)


@pytest.mark.parametrize("line", KERNEL)
def test_the_kernels_own_words_make_memory_certain(line: str) -> None:
    """An OOM killer line near the end is the cause, with the record as its evidence."""
    observed = observe("started", line, "last")

    finding = find_memory_exhausted(observed)

    assert finding is not None
    assert Confidence.CERTAIN == finding.confidence
    assert [observed.records[1].id] == [reference.id for reference in finding.evidence]


@pytest.mark.parametrize("line", RUNTIME)
def test_a_runtime_that_got_no_memory_makes_it_likely(line: str) -> None:
    """What Python, C++, Java, Node, Go and Rust write when allocation fails."""
    finding = find_memory_exhausted(observe("started", line))

    assert finding is not None
    assert Confidence.LIKELY == finding.confidence


@pytest.mark.parametrize(
    "line", ["worker exited with code 137", "Main process exited, code=killed, status=137"]
)
def test_exit_137_alone_is_only_possible(line: str) -> None:
    """SIGKILL has other senders than the OOM killer."""
    finding = find_memory_exhausted(observe(line))

    assert finding is not None
    assert Confidence.POSSIBLE == finding.confidence


@pytest.mark.parametrize("line", INNOCENT)
def test_talk_of_memory_is_no_evidence(line: str) -> None:
    """A line that only mentions memory, or 137, says nothing of a failure."""
    assert find_memory_exhausted(observe(line)) is None


def test_a_memory_error_long_before_the_end_is_only_possible() -> None:
    """A handled error an hour before the last word is not called the cause."""
    finding = find_memory_exhausted(
        observe(record("MemoryError", second=0), record("bye", second=3600))
    )

    assert finding is not None
    assert Confidence.POSSIBLE == finding.confidence
    assert "well before" in finding.statement


def test_a_traceback_is_told_by_its_exception_though_other_files_stand_between() -> None:
    """The exception is the next unindented record of the same file, not of the time order."""
    observed = observe(
        record("Traceback (most recent call last):", second=0),
        record("noise of another file", second=1, source=2),
        record('  File "app.py", line 3, in <module>', second=2),
        record("KeyError: 'price'", second=3),
        record("more noise", second=4, source=2),
    )

    finding = find_fatal_error(observed)

    assert finding is not None
    assert "KeyError: 'price'" in finding.statement
    assert [observed.records[0].id, observed.records[3].id] == [
        reference.id for reference in finding.evidence
    ]


def test_a_memory_traceback_is_left_to_the_memory_finding() -> None:
    """One failure is told once."""
    observed = observe("Traceback (most recent call last):", '  File "a.py"', "MemoryError")

    assert find_fatal_error(observed) is None
    assert ["memory_exhausted"] == _names(
        find_all(observe(*[r.message for r in observed.records], closed=True))
    )


@pytest.mark.parametrize(
    "line",
    [
        "panic: runtime error: index out of range [5] with length 3",
        "thread 'main' panicked at src/main.rs:2:5:",
        "kernel: Kernel panic - not syncing: VFS: Unable to mount root fs",
        "nginx[12]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so",
        'Exception in thread "main" java.lang.NullPointerException',
    ],
)
def test_crashes_are_known_by_their_own_words(line: str) -> None:
    """Go, Rust, the kernel and the JVM each have one way to say it."""
    finding = find_fatal_error(observe("started", line))

    assert finding is not None
    assert Confidence.LIKELY == finding.confidence


def test_an_error_line_is_only_possible_and_only_near_the_end() -> None:
    """Level error is everyday; it counts only where nothing better is known."""
    near = find_fatal_error(observe(record("upstream timed out", level="error")))
    far = find_fatal_error(
        observe(record("upstream timed out", level="error"), record("ok", second=4000))
    )

    assert near is not None
    assert Confidence.POSSIBLE == near.confidence
    assert far is None


def test_a_closing_record_means_no_silence() -> None:
    """Who said goodbye did not go silent."""
    assert find_silence(observe("bye", closed=True)) is None
    assert find_silence(observe("bye")) is not None


def test_silence_gives_the_tails_size_as_far_as_a_heartbeat_knows_it() -> None:
    """Unknown, nothing waiting, and so many bytes are three different statements."""
    unknown = find_silence(observe("x"))
    nothing = find_silence(observe("x", heartbeat={"afterimage.counters.pending_bytes": 0}))
    some = find_silence(observe("x", heartbeat={"afterimage.counters.pending_bytes": 4096}))

    assert unknown is not None
    assert nothing is not None
    assert some is not None
    assert "size is unknown" in unknown.statement
    assert "nothing was waiting" in nothing.statement
    assert "4,096 bytes" in some.statement


def test_a_running_instance_is_silent_only_after_five_minutes() -> None:
    """A live instance between two heartbeats is no finding."""
    now = observe("x", state=InstanceState.RUNNING, now=at(200))
    later = observe("x", state=InstanceState.RUNNING, now=at(400))

    assert find_silence(now) is None
    assert find_silence(later) is not None


def test_a_running_instance_without_trouble_has_no_findings() -> None:
    """Nothing is made up for the healthy."""
    observed = observe("GET / 200", state=InstanceState.RUNNING, now=at(5))

    assert () == find_all(observed)


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        ("EC2: Server.SpotInstanceTermination: …", "A spot interruption ended it"),
        ("EC2: Client.InstanceInitiatedShutdown: …", "It shut itself down"),
        ("EC2: Client.UserInitiatedShutdown: User initiated shutdown", "It was ended on request"),
        ("EC2: Server.InternalError: Internal error on launch", "EC2 failed beneath it"),
        ("EC2: something new", "It was terminated"),
    ],
)
def test_ec2s_reason_tells_the_kind_of_end(reason: str, title: str) -> None:
    """The state reason is quoted as evidence, and named for a person."""
    finding = find_replaced(observe("x", reason=reason))

    assert finding is not None
    assert title == finding.title
    assert reason == f"{finding.evidence[0].where}: {finding.evidence[0].quote}"


def test_a_failed_health_check_beats_the_request_that_it_caused() -> None:
    """Auto Scaling ends instances by request; its activity says why."""
    finding = find_replaced(
        observe(
            "x",
            reason="EC2: Client.UserInitiatedShutdown",
            events=(
                event(
                    "an instance was taken out of service in response to an ELB system health "
                    "check failure",
                    origin="autoscaling",
                ),
            ),
        )
    )

    assert finding is not None
    assert "Its group replaced it" == finding.title


def test_the_cause_is_what_failed_not_what_aws_did_about_it() -> None:
    """Memory ran out, therefore the health check failed, therefore it was replaced."""
    observed = observe(
        "MemoryError",
        reason="EC2: Client.UserInitiatedShutdown",
        events=(event("ELB health check failure", origin="autoscaling"),),
    )

    assert ["memory_exhausted", "replaced", "silence"] == _names(find_all(observed))


def test_a_scale_in_is_the_cause_even_after_an_old_error() -> None:
    """A group that shrank ended it, whatever its logs said an hour before."""
    observed = observe(
        record("KeyError: 1", level="critical"),
        record("serving", second=3600),
        events=(event("shrinking the capacity from 4 to 3", origin="autoscaling"),),
    )

    assert "replaced" == find_all(observed)[0].name


@given(st.lists(st.text(max_size=80), max_size=20))
def test_no_text_makes_a_finding_without_evidence(messages: list[str]) -> None:
    """Whatever the lines say, nothing raises, and each finding quotes what it rests on."""
    for finding in find_all(observe(*messages)):
        assert finding.evidence
        assert all(len(reference.quote) <= 400 for reference in finding.evidence)


def _names(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.name for finding in findings]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fork: Cannot allocate memory", "refused a program memory (ENOMEM)"),
        ("worker exited with code 137", "exited with status 137"),
        ("kubelet: reason OOMKilled", "A line reports"),
    ],
)
@pytest.mark.parametrize("state", [InstanceState.RUNNING, InstanceState.TERMINATED])
def test_each_kind_of_memory_line_has_its_own_statement(
    line: str, words: str, state: InstanceState
) -> None:
    """What was not seen is not said: no 137 of an ENOMEM, no end of what still gives signs."""
    finding = find_memory_exhausted(observe(line, state=state, now=at(5)))

    assert finding is not None
    assert words in finding.statement
    assert ("137" in line) == ("137" in finding.statement)
    assert (state is InstanceState.RUNNING) == ("so far" in finding.statement)
    assert "end of its life" not in finding.statement


def test_an_error_on_a_living_instance_is_one_so_far() -> None:
    """Signs still arrive: nothing is called its end, and the next error may come."""
    found = find_all(
        observe(
            record("boom 4", level="error"),
            record("boom 5", level="error", second=1),
            state=InstanceState.RUNNING,
            now=at(5),
        )
    )

    assert [("An error, so far", "The last line at level error so far says: boom 5")] == [
        (finding.title, finding.statement) for finding in found
    ]


def test_the_last_error_line_is_called_so_only_if_it_is() -> None:
    """A later line on memory is the other finding's; this one then says that it leaves it out."""
    finding = find_fatal_error(
        observe(
            record("boom 5", level="error"),
            record("Cannot allocate memory", level="error", second=1),
        )
    )

    assert finding is not None
    assert "The last line, but for those on memory, at level error says: boom 5" == (
        finding.statement
    )


TRACE = (
    "2026-01-03 CRITICAL shop: giving up\n"
    "Traceback (most recent call last):\n"
    '  File "app.py", line 3, in get\n'
    "KeyError: 'user'\n"
    "\n"
    "During handling of the above exception, another exception occurred:\n"
    "\n"
    "Traceback (most recent call last):\n"
    '  File "app.py", line 9, in serve\n'
    "    raise Failed\n"
    "shop.OrderFailed: order 7"
)


def test_a_traceback_that_is_one_record_says_what_its_last_exception_says() -> None:
    """Not what the next record of the file says, which looks like an exception and is none."""
    observed = observe("started", TRACE, "listening: 80")

    finding = find_fatal_error(observed)

    assert finding is not None
    assert finding.statement.endswith(": shop.OrderFailed: order 7")
    (reference,) = finding.evidence
    assert observed.records[1].id == reference.id
    assert "2026-01-03 CRITICAL shop: giving up … shop.OrderFailed: order 7" == reference.quote


@pytest.mark.parametrize("line", RUNTIME)
def test_memory_that_ran_out_inside_a_record_of_several_lines_is_memory(line: str) -> None:
    """A runtime's words at the end of a trace, or before more lines: what counts."""
    for text in (f"Traceback (most recent call last):\n  File x\n{line}", f"{line}\n\n  at x"):
        observed = observe("started", text)
        assert find_memory_exhausted(observed) is not None
        assert "memory_exhausted" == find_all(observed)[0].name


def test_a_panic_in_the_middle_of_a_record_is_a_crash() -> None:
    """Go prints what failed before `panic:` when output of both is one group."""
    finding = find_fatal_error(observe("started", "http: bye\npanic: nil map\n\ngoroutine 1"))

    assert finding is not None
    assert "crash" in finding.statement


def test_a_traceback_that_was_cut_is_quoted_as_it_is() -> None:
    """No exception line came: the record itself is the evidence."""
    text = "Traceback (most recent call last):\n  File x"
    finding = find_fatal_error(observe("started", text, "  File y", "2026-01-03 INFO: ok"))

    assert finding is not None
    assert "A program failed" == finding.title
