"""Requests and studies that nobody thought of: never a 500, never a traceback, never a hang."""

from __future__ import annotations

import http.client
import json

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.services import served, service, study

EXAMPLES = 1000
OPERATIONS = 14
QUICK = {
    "deadline": 5_000,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "print_blob": False,
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with served(service(tmp_path_factory.mktemp("fuzz"))) as url:
        yield url


@pytest.fixture(scope="module")
def api(url):
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.mark.parametrize("number", range(OPERATIONS))
def test_every_operation_answers_as_its_document_says(api, number):
    operation = list(api.get_all_operations())[number].ok()

    @given(operation.as_strategy())
    @settings(max_examples=-(-EXAMPLES // OPERATIONS), **QUICK)
    def answers(case):
        case.call_and_validate(checks=CHECKS, timeout=30)

    answers()


def test_the_operations_are_as_many_as_the_examples_are_counted_for(api):
    assert len(list(api.get_all_operations())) == OPERATIONS


# Half of a surrogate pair, paths, code, and what YAML can say and JSON cannot.
odd = st.sampled_from(["1e400", "\0", "\ud800", "x\udfff", "/etc", "os:system"])
others = st.dates() | st.binary(max_size=4) | st.just({"os:system"})
words = st.text(max_size=12) | odd
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), odd, others
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
KEYS = ("name", "cells", "stages", "blocks", "halving", "pretrain", "data", "references", "stage")
names = st.sampled_from(["rotate", "blur", "rotat", "none", "custom"]) | words
cells = st.fixed_dictionaries(
    {"composition": st.lists(names, max_size=3)}, optional={"objective": names, "x": anything}
)
almost = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "", "a/b"]) | words},
    optional={
        "cells": st.lists(cells, max_size=3) | anything,
        "blocks": st.lists(st.integers(), max_size=3) | anything,
        "halving": st.none() | anything,
        "pretrain": st.dictionaries(
            st.sampled_from(["epochs", "global_batch", "encoder", "optimizer", "augmentation"]),
            st.integers(-3, 3) | anything,
            max_size=3,
        ),
        "data": anything,
        "stages": st.lists(
            st.fixed_dictionaries({"kind": st.sampled_from(["objectives", "compositions", "x"])})
            | anything,
            max_size=2,
        ),
    },
)
studies = st.one_of(
    almost,
    st.dictionaries(st.sampled_from(KEYS), anything, max_size=6).map(lambda more: study() | more),
    anything,
)


@given(studies, st.booleans())
@example(study() | {"\ud800": "/etc"}, False)
@example(study(pretrain={"augmentation": {"custom": {"os:system"}}}), True)
@settings(max_examples=EXAMPLES, **QUICK)
def test_every_study_is_queued_or_refused_with_a_reason(url, values, as_yaml):
    if as_yaml:
        body, kind = yaml.safe_dump(values).encode("utf-8", "surrogatepass"), "application/yaml"
    else:
        body, kind = json.dumps({"study": values}, default=repr).encode(), "application/json"
    kind = {"Content-Type": kind}
    answer = requests.post(f"{url}/api/jobs", data=body, headers=kind, timeout=30)
    assert answer.status_code in (200, 201, 422), (values, answer.text)
    if answer.status_code == 422:
        assert answer.json()["detail"].strip()
        assert "Traceback" not in answer.text


PATHS = ("/", "/?offset=1", "/docs", "/login", "/metrics", "/healthz", "/static/style.css")
CHANGES = ("/api/jobs", "/api/jobs/batch", "/api/jobs/j1/cancel", "/jobs/j1/do", "/login")
requested = st.sampled_from([*(("GET", one) for one in PATHS), *(("POST", one) for one in CHANGES)])
HEADERS = ("Origin", "Host", "Content-Type", "Authorization", "Cookie", "X-Handssl-User", "Accept")
MORE = ("Range", "If-None-Match", "If-Modified-Since", "X-Forwarded-For", "X-Forwarded-Proto")
printed = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12)
said = printed | st.sampled_from(
    [
        *("http://[", "[", "[::1", "a:b:c", "null", "//", "Bearer \xff", "handssl_token=\xff"),
        *("multipart/form-data", "application/yaml", "text/plain; charset=x", "bytes=9-1,x", "ftp"),
    ]
)


@given(requested, st.dictionaries(st.sampled_from([*HEADERS, *MORE]), said, max_size=4))
@example(("POST", "/api/jobs"), {"Origin": "http://["})
@settings(max_examples=EXAMPLES // 4, **QUICK)
def test_every_header_is_answered(url, asked, headers):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.putrequest(*asked, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.putheader("Content-Length", "2")
    connection.endheaders(b"{}")
    answer = connection.getresponse()
    connection.close()
    assert answer.status < 500, (asked, headers)


numbers = st.integers() | st.sampled_from([10**23, 2**63, -(2**63)]) | st.text(max_size=5)


@given(st.dictionaries(st.sampled_from(["offset", "state", "part", "x"]), numbers, max_size=3))
@example({"offset": 10**23})
@settings(max_examples=EXAMPLES // 10, **QUICK)
def test_every_query_of_the_page_is_answered(url, query):
    assert requests.get(url, params=query, timeout=30).status_code in (200, 422), query


@given(st.dictionaries(st.sampled_from(["verb", "priority", "token"]), numbers, max_size=3))
@settings(max_examples=EXAMPLES // 10, **QUICK)
def test_every_form_is_answered(url, form):
    name = requests.post(f"{url}/api/jobs", json={"study": study("formed")}, timeout=30).json()[
        "id"
    ]
    for path in (f"/jobs/{name}/do", "/login"):
        assert requests.post(url + path, data=form, timeout=30).status_code in (200, 401, 409, 422)
