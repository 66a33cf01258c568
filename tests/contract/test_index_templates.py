"""Index templates, the table of fields, docs/fields.md and the documents that are built: one thing.

The second half proves on a real node what the templates promise: nothing is refused for its
content, nothing grows a mapping, and what is stored can't be changed.
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest

from dashboards.fields import (
    FAMILIES,
    build_template,
    load_fields,
    load_template,
    render_page,
    render_template,
)
from forensics.centre.install import (
    check_templates,
    find_differences,
    install_templates,
    plan_template,
)
from forensics.ledger.lifecycle import to_document
from forensics.ledger.model import LifecycleEvent
from forensics.store.documents import split_words
from shipper.birth import read_birth_facts
from shipper.wire import journal_entries
from shipper.wire.builder import RecordBuilder
from shipper.wire.formats import container_fields, find_shape
from shipper.wire.framing import frame
from shipper.wire.record import IDENTITY_FIELDS, Identity, build_document, index_name
from shipper.wire.records import Records
from shipper.wire.state import SourceRow
from shipper.wire.times import parse_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import VitalsWriter

ROOT = Path(__file__).resolve().parents[2]
AT = "2026-01-03T12:00:00.000000001Z"
STREAM = "aaaaaaaaaaaaaaaa"
IDENTITY = Identity(
    **dict.fromkeys(IDENTITY_FIELDS, "x") | {"instance_id": "i-0123456789abcdef0"},
)

JSON_TYPES: dict[str, tuple[type, ...]] = {
    "keyword": (str,),
    "match_only_text": (str,),
    "binary": (str,),
    "date_nanos": (str,),
    "long": (int,),
    "integer": (int,),
    "boolean": (bool,),
    "flat_object": (dict,),
    "object": (dict, list),
}


WRAPPED = (
    (
        "docker",
        f"/var/lib/docker/containers/{'c' * 64}/{'c' * 64}-json.log",
        b'{"log":"{\\"user\\":{\\"id\\":7}}\\n","stream":"stdout","time":"2026-01-03T12:00:00Z"}\n',
    ),
    (
        "cri",
        "/var/log/pods/shop_web-1_0f3a/app/0.log",
        b"2026-01-03T12:00:00.000000001Z stderr F key=***\n",
    ),
    (
        "forward",
        "forward:unix:///run/afterimage/forward.sock",
        b'{"time":"2026-01-03T12:00:00.000000001Z","tag":"shop","peer":{"pid":1,"uid":0,"gid":0},'
        b'"record":{"message":"paid","log.level":"info","deep":%b}}\n'
        % (b'{"a":' * 40 + b"1" + b"}" * 40),
    ),
    (
        "journald",
        "journald",
        journal_entries.build_line(
            (
                *(b"MESSAGE=ready", b"PRIORITY=6", b"SYSLOG_FACILITY=3", b"_PID=1", b"TID=2"),
                *(b"SYSLOG_IDENTIFIER=shop", b"SYSLOG_PID=1", b"_COMM=shop", b"_EXE=/shop"),
                *(b"_CMDLINE=/shop -v", b"_UID=0", b"_GID=0", b"_SYSTEMD_UNIT=shop.service"),
                *(b"CONTAINER_NAME=web", b"CONTAINER_ID_FULL=c0ffee", b"ODD=\xff"),
            ),
            cursor="s=0;i=5", sequence=5, realtime_micros=1_767_441_600_000_000,
        ),
    ),
)  # fmt: skip
"""Kind, path or name, and a line of each kind of source that wraps words."""


def built_wrapped(source: int, wrapped: tuple[str, str, bytes]) -> bytes:
    """The item of such a line, some of it masked."""
    kind, path, line = wrapped
    shape = find_shape(kind)
    assert shape is not None
    builder = RecordBuilder(
        identity=IDENTITY, stream=STREAM, source=source, path=path,
        index=index_name("logs", parse_time(AT)), shape=shape,
        source_fields=container_fields(kind, path),
    )  # fmt: skip
    records = Records(data=line, start=0, lengths=[len(line)], masked={0: [(0, 1)]})
    return builder.build(records, parse_time(AT)).body


def built_items(family: str) -> bytes:
    """One `_bulk` item of every kind of document of that family, each with every field it can."""
    if family == "logs":
        builder = RecordBuilder(
            identity=IDENTITY,
            stream=STREAM,
            source=1,
            path="/var/log/app.log",
            index=index_name("logs", parse_time(AT)),
        )
        lines = frame(b"2026-01-03 12:00:00 ERROR failed\n\xff not UTF-8\nquiet\n")
        plain = builder.build(Records.of(lines, 0), parse_time(AT)).body
        return plain + b"".join(starmap(built_wrapped, enumerate(WRAPPED, start=2)))
    if family == "lifecycle":
        event = LifecycleEvent(
            at=AT, instance_id="i-0a", action="snapshot", message="taken", origin="quarantine",
            outcome="success", simulated=True, case_id="case", subject="snap-1",
            identity=IDENTITY.as_fields(),
        )  # fmt: skip
        return build_document("lifecycle", *to_document(event))
    writer = VitalsWriter(identity=IDENTITY, stream=STREAM, run=1)
    row = SourceRow(
        source=1, path="/var/log/app.log", device=1, inode=2**64 - 1, fingerprint="f" * 64,
        fingerprint_bytes=1024, day="2026-01-03", from_offset=0, at=AT, kind="forward",
        name="forward:unix:///x.sock",
    )  # fmt: skip
    counters = dict.fromkeys(
        ("read_bytes", "acked_bytes", "pending_bytes", "dropped_bytes", "dead_lettered_bytes"), 1
    )
    sources = [{"source": 1, "read": 2, "acked": 1, "size": 3}]
    vitals = (
        writer.birth(AT, read_birth_facts(["a checkpoint was torn"])),
        writer.source(row, AT),
        writer.heartbeat(AT, counters, sources),
        writer.gap(
            AT, source=1, path="/var/log/app.log", start=0, end=9, cause="vanished", reason="gone"
        ),
        writer.drop(
            AT, source=1, path="/x", drop=Drop(start=0, end=9, count=1, reason="debug noise")
        ),
        writer.closing(AT, reason="SIGTERM", counters=counters, sources=sources),
    )
    return b"".join(vital.build() for vital in vitals)


def built_documents(family: str) -> Iterator[dict[str, Any]]:
    """The documents of `built_items`, without their action lines."""
    for line in built_items(family).splitlines()[1::2]:
        yield json.loads(line)


@pytest.mark.parametrize("family", FAMILIES)
def test_templates_are_what_the_table_says(family: str) -> None:
    """The JSON files were written from fields.toml: run `python -m dashboards.fields`."""
    path = ROOT / "dashboards" / "index-templates" / f"{family}.json"
    assert render_template(build_template(family, load_fields())) == path.read_text("utf-8")


def test_the_page_of_fields_is_what_the_table_says() -> None:
    """docs/fields.md was written from fields.toml: run `python -m dashboards.fields`."""
    assert render_page(load_fields()) == (ROOT / "docs" / "fields.md").read_text("utf-8")


def test_the_table_is_well_formed() -> None:
    """Known types and families, a meaning that is a sentence and can't break the page's table."""
    for field in load_fields():
        assert field.type in JSON_TYPES, field
        assert set(field.families) <= set(FAMILIES)
        assert field.families, field
        assert field.meaning.endswith("."), field
        assert "|" not in field.meaning


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_that_is_built_is_in_the_table_with_its_type(family: str) -> None:
    """What shipper and ledger put into documents is mapped, searchable and documented."""
    types = {field.name: field.type for field in load_fields() if family in field.families}
    documents = list(built_documents(family))
    assert documents
    for document in documents:
        for name, value in document.items():
            assert name in types, f"{name} of {family} is not in dashboards/fields.toml"
            for one in value if name == "afterimage.masked" else [value]:
                assert type(one) in JSON_TYPES[types[name]], f"{name}: {one!r} as {types[name]}"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_identity_field_is_in_every_family(family: str) -> None:
    """An instance is found by image, group or zone in whatever family it appears."""
    names = {field.name for field in load_fields() if family in field.families}
    assert IDENTITY.as_fields().keys() <= names


@pytest.mark.parametrize("family", FAMILIES)
def test_a_template_can_not_refuse_or_grow(family: str) -> None:
    """No dynamic mapping, no wildcard field, no keyword over Lucene's limit of a term."""
    template = load_template(family)["template"]
    assert template["mappings"]["dynamic"] is False
    for name, mapping in template["mappings"]["properties"].items():
        assert mapping["type"] != "wildcard", name
        if mapping["type"] == "keyword" and mapping.get("index", True):
            assert mapping["ignore_above"] * 4 <= 32_766, name
        elif mapping["type"] == "keyword":
            assert mapping["doc_values"] is False, f"{name}: a long value would cost its record"


def test_an_older_opensearch_gets_no_append_only_and_is_told() -> None:
    """2.x has no such setting: it is left out, and a note says what that means."""
    template, notes = plan_template("logs", "2.19.3", replicas=1)
    assert "index.append_only.enabled" not in template["template"]["settings"]
    assert "stored logs can be changed" in notes[0]
    template, notes = plan_template("logs", "3.0.0", replicas=2)
    assert template["template"]["settings"]["index.append_only.enabled"] is True
    assert (2, ()) == (template["template"]["settings"]["index.number_of_replicas"], notes)


def test_differences_name_key_and_both_values() -> None:
    """Nesting, quoting and empty members are OpenSearch's way of writing and no difference."""
    wanted = {"template": {"settings": {"index.a": 1, "index.b": True}}, "priority": 200}
    stored = {
        "template": {"settings": {"index": {"a": "1", "b": "false"}}, "aliases": {}},
        "composed_of": [],
    }
    assert (
        "priority is absent, should be 200",
        "template.settings.index.b is false, should be true",
    ) == find_differences(stored, wanted)


def call(url: str, body: object = None, method: str = "POST") -> tuple[int, Any]:
    """Status and JSON of a request to the node."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own node
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - same
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def put_items(url: str, items: bytes) -> list[int]:
    """The status of each `create` of a `_bulk` body."""
    status, answer = call(f"{url}/_bulk?refresh=true", items)
    assert status == 200
    return [item["create"]["status"] for item in answer["items"]]


@pytest.mark.opensearch
@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_node_takes_what_is_built_and_maps_it_as_written(
    opensearch_store_url: str, family: str
) -> None:
    """Every kind of document is created, and its index has exactly the template's mapping."""
    items = built_items(family)
    before = [201] * (len(items.splitlines()) // 2)
    assert before == put_items(opensearch_store_url, items)
    status, answer = call(f"{opensearch_store_url}/afterimage-{family}-*/_mapping", None, "GET")
    assert status == 200
    (index,) = answer.values()
    wanted = load_template(family)["template"]["mappings"]
    assert "false" == index["mappings"].pop("dynamic")
    stored = find_differences(
        flatten_properties(index["mappings"]), {"properties": wanted["properties"]}
    )
    assert () == stored


def flatten_properties(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested `properties` with dotted names, as the template has them."""
    flat: dict[str, Any] = {}
    for name, value in mapping.get("properties", {}).items():
        if "properties" in value:
            flat |= flatten_properties(value, f"{prefix}{name}.")["properties"]
        else:
            flat[f"{prefix}{name}"] = value
    return {"properties": flat}


ODD_CONTENT: tuple[dict[str, Any], ...] = (
    {"log.file.path": "/" + "é" * 40_000},
    {"cloud.instance.id": "x" * 40_000},
    {"message": "x" * 1_048_576},
    {"@timestamp": "9999-01-01T00:00:00Z"},
    {"@timestamp": "yesterday"},
    {"log.offset": "not a number"},
    {"log.length": 2**40},
    {"unknown": {"deep": {"object": [1, {"a": "b"}]}}},
    {f"unknown.{n}": n for n in range(2000)},
    {"cloud.instance.id": ["a", "b"]},
    {"log.level": None},
    {"afterimage.raw": "/////w=="},
    {"fields": {"user": {"name": "x"}, "list": [1, 2]}},
)


@pytest.mark.opensearch
@pytest.mark.slow
def test_no_content_is_refused_and_no_mapping_grows(opensearch_store_url: str) -> None:
    """Long, malformed or unknown values are stored with their record, whatever they are."""
    index = f"{opensearch_store_url}/afterimage-logs-2026.01.03"
    for number, odd in enumerate(ODD_CONTENT):
        document = {"@timestamp": AT, "event.created": AT, "message": "m"} | odd
        status, answer = call(f"{index}/_create/{number}", document)
        assert status == 201, (next(iter(odd)), answer)
        _, stored = call(f"{index}/_doc/{number}", None, "GET")
        assert document == stored["_source"]
    _, mapping = call(f"{index}/_mapping", None, "GET")
    wanted = {field.name for field in load_fields() if "logs" in field.families}
    (only,) = mapping.values()
    assert wanted == flatten_properties(only["mappings"])["properties"].keys()


OF_EVERY_KIND: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "docker",
        {
            "message": "a <b>\n  at c", "afterimage.before": '{"log":"',
            "afterimage.after": '\\n","stream":"stderr","time":"2026-01-03T12:00:00Z"}\n',
            "afterimage.escape": "go", "container.id": "f" * 64, "log.iostream": "stderr",
        },
    ),
    (
        "cri",
        {
            "message": "ready", "afterimage.before": "2026-01-03T12:00:00Z stdout F ",
            "afterimage.after": "\n", "kubernetes.namespace": "shop",
            "kubernetes.pod.name": "shop-1", "kubernetes.pod.uid": "u",
            "kubernetes.container.name": "app", "log.iostream": "stdout",
        },
    ),
    (
        "forward",
        {
            "message": "paid", "afterimage.before": '{"time":"…","record":{"message":"',
            "afterimage.after": '"}}\n' + "x" * 200_000, "afterimage.escape": "json",
            "fields": {"user": {"id": 7}, "tags": ["a", "b"], "ok": True, "none": None},
            "log.file.path": "forward:unix:///run/afterimage/forward.sock",
            "process.pid": 1, "user.id": "0", "user.group.id": "0", "log.logger": "shop.paid",
        },
    ),
    (
        "journald",
        {
            "message": "Started shop.", "afterimage.before": "é" * 100_000, "afterimage.after": "x",
            "afterimage.escape": "json", "log.file.path": "journald", "service.name": "shop",
            "process.name": "systemd", "process.executable": "/usr/lib/systemd/systemd",
            "process.command_line": "/sbin/init " + "x" * 50_000, "log.syslog.priority": 30,
            "log.syslog.severity.code": 6, "log.syslog.facility.code": 3,
            "log.syslog.appname": "systemd", "log.offset": 2**63 - 1,
        },
    ),
    ("masked", {"message": "token=*****", "afterimage.masked": ["6-5", "90-12"]}),
    ("deep", {"message": '{"a":…}', "afterimage.fields_left_out": "depth"}),
    (
        "raised",
        {
            "message": "failed", "error.type": "ValueError", "error.message": "no such order",
            "error.stack_trace": "Traceback…\n" * 10_000,
        },
    ),
)  # fmt: skip
"""What the shipper's sources and transforms add to a record, long values included."""


@pytest.mark.opensearch
@pytest.mark.slow
def test_the_node_takes_a_document_of_every_kind_of_source(opensearch_store_url: str) -> None:
    """Wrapped, structured, masked: each name is in the table, none is refused for its length."""
    known = {field.name for field in load_fields() if "logs" in field.families}
    index = f"{opensearch_store_url}/afterimage-logs-2026.01.03"
    for name, more in OF_EVERY_KIND:
        document = {"@timestamp": AT, "event.created": AT, "log.offset": 0, "log.length": 1} | more
        assert set() == document.keys() - known
        status, answer = call(f"{index}/_create/{name}?refresh=true", document)
        assert status == 201, (name, answer)
        _, stored = call(f"{index}/_doc/{name}", None, "GET")
        assert document == stored["_source"]
    for query in (
        {"term": {"container.id": "f" * 64}},
        {"term": {"kubernetes.pod.name": "shop-1"}},
        {"term": {"fields.user.id": "7"}},
        {"match": {"error.message": "order"}},
    ):
        _, found = call(f"{index}/_search", {"query": query})
        assert found["hits"]["total"]["value"] == 1, query


@pytest.mark.opensearch
@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "text"),
    [(("key",), "x" * 32_000), (("k" * 100, "é" * 50), "é" * 16_000)],
    ids=["characters", "bytes"],
)
def test_a_path_and_its_text_in_fields_have_one_limit_together(
    opensearch_store_url: str, path: tuple[str, ...], text: str
) -> None:
    """32,751 bytes: one more is a 400 for the record, which then goes again without `fields`.

    A node keeps `fields.fields.path=text` as one value of at most 32,766 bytes.
    """
    index = f"{opensearch_store_url}/afterimage-logs-2026.01.03"
    room = 32_751 - len(f"{'.'.join(path)}{text}".encode())

    def create(document_id: str, value: str | None) -> tuple[int, Any]:
        fields: Any = value
        for name in reversed(path):
            fields = {name: fields}
        document = {"@timestamp": AT, "event.created": AT, "message": "m"}
        more = {} if value is None else {"fields": fields}
        return call(f"{index}/_create/{document_id}", document | more)

    status, answer = create("fits", text + "x" * room)
    assert status == 201, answer
    status, answer = create("long", text + "x" * (room + 1))
    assert (400, "illegal_argument_exception") == (status, answer["error"]["type"])
    assert 201 == create("long", None)[0]


@pytest.mark.opensearch
@pytest.mark.slow
@pytest.mark.parametrize("family", ["logs", "vitals"])
def test_what_is_stored_can_not_be_changed(opensearch_store_url: str, family: str) -> None:
    """`create` twice is 201 and 409; every way to overwrite, update or delete is refused."""
    items = built_items(family)
    first = json.loads(items.splitlines()[0])["create"]
    index = f"{opensearch_store_url}/{first['_index']}"
    document_id = first["_id"]
    number = len(items.splitlines()) // 2
    assert [201] * number == put_items(opensearch_store_url, items)
    assert [409] * number == put_items(opensearch_store_url, items)
    _, before = call(f"{index}/_search?size=100&version=true", {"sort": ["_doc"]})

    match_all: dict[str, Any] = {"query": {"match_all": {}}}
    for url, body, method in (
        (f"{index}/_doc/{document_id}", {"message": "forged"}, "PUT"),
        (f"{index}/_doc/new-id", {"message": "forged"}, "PUT"),
        (f"{index}/_update/{document_id}", {"doc": {"message": "forged"}}, "POST"),
        (f"{index}/_doc/{document_id}", None, "DELETE"),
        (f"{index}/_delete_by_query?refresh=true", match_all, "POST"),
        (
            f"{index}/_update_by_query?refresh=true",
            match_all | {"script": {"source": "ctx._source.message = 'forged'"}},
            "POST",
        ),
        (f"{index}/_settings", {"index.append_only.enabled": False}, "PUT"),
    ):
        status, answer = call(url, body, method)
        assert status == 400, (method, url, answer)
    call(f"{index}/_refresh")
    _, after = call(f"{index}/_search?size=100&version=true", {"sort": ["_doc"]})
    assert before["hits"]["hits"] == after["hits"]["hits"]


@pytest.mark.opensearch
@pytest.mark.slow
def test_installing_twice_changes_nothing_and_check_names_what_differs(
    opensearch_store_url: str,
) -> None:
    """`check` reads only; `install` mends exactly what `check` names."""
    url = opensearch_store_url

    def differences(replicas: int | None = None) -> dict[str, tuple[str, ...]]:
        states = asyncio.run(check_templates(url, replicas=replicas))
        return {state.name: state.differences for state in states}

    same = {f"afterimage-{family}": () for family in FAMILIES}
    assert same == differences(), "a single node gets no replica"
    template = load_template("logs")
    settings = template["template"]["settings"]
    settings["index.number_of_replicas"] = 0
    del settings["index.append_only.enabled"]
    try:
        assert 200 == call(f"{url}/_index_template/afterimage-logs", template, "PUT")[0]
        assert 200 == call(f"{url}/_index_template/afterimage-vitals", None, "DELETE")[0]
        found = differences()
        unchanged = differences()
    finally:  # the node is every test's
        asyncio.run(install_templates(url))
    assert (
        "template.settings.index.append_only.enabled is absent, should be true"
        in found["afterimage-logs"]
    )
    assert ("is missing",) == found["afterimage-vitals"]
    assert () == found["afterimage-lifecycle"]
    assert found == unchanged, "a check changes nothing"
    assert same == differences()
    assert ("template.settings.index.number_of_replicas is 0, should be 2",) == differences(2)[
        "afterimage-logs"
    ]


@pytest.mark.opensearch
@pytest.mark.slow
def test_both_stores_cut_a_message_into_the_same_words(opensearch_store_url: str) -> None:
    """What finds a line on a laptop's SQLite finds it in the fleet's OpenSearch."""
    items = built_items("logs")
    put_items(opensearch_store_url, items)
    index = json.loads(items.splitlines()[0])["create"]["_index"]
    marks = [mark for mark in map(chr, range(0x20, 0x10000)) if is_mark(mark)]
    texts = [
        "connection_timeout=5 at example.com:9200, can't reach 192.168.0.1",
        "Größe naïve ОШИБКА 日本語 ひらがな カタカナ 한국어 ก",
        "500ms 3.14 1,000 C++ x² user@host /var/log/app-1.log {'a': \"b\"}",
        "\x1b[31mred\x1b[0m \x00nul\ttab GRÖSSE",
        *(f"left{mark}right 1{mark}2" for mark in marks),
    ]
    for start in range(0, len(texts), 200):
        batch = texts[start : start + 200]
        _, answer = call(
            f"{opensearch_store_url}/{index}/_analyze", {"field": "message", "text": batch}
        )
        found = {token["token"] for token in answer["tokens"]}
        expected = {word for text in batch for word in split_words(text)}
        assert expected == found


def is_mark(character: str) -> bool:
    """Punctuation or a space: what may stand between words."""
    return unicodedata.category(character)[0] in "PZ"
