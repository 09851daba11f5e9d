"""A stand-in for Google: Cloud Monitoring, Cloud Logging, OAuth and the metadata server.

Every request is read with the message definitions that Google publishes (strictly: an unknown field, a
wrong type or a key that comes twice is refused), then held against the documented rules of the APIs.

    google_cloud.py PORT FOLDER

writes credentials that are good for it into FOLDER, and serves on the loopback address.
`GET /__state` tells what it has, `POST /__fail` makes it fail, `POST /__revoke` takes its tokens back.
"""

import json
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.api import metric_pb2
from google.cloud import logging_v2, monitoring_v3
from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2, status_pb2

PROJECT = "test-project"
ACCOUNT = f"writer@{PROJECT}.iam.gserviceaccount.com"
SCOPES = {
    "https://www.googleapis.com/auth/monitoring.write",
    "https://www.googleapis.com/auth/logging.write",
}
GAP_SECONDS = 10
HTTP_OF = {3: 400, 5: 404, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401}

# Monitored resources and their labels, as the documentation lists them.
K8S = {"project_id", "location", "cluster_name"}
RESOURCES = {
    "k8s_cluster": K8S,
    "k8s_node": K8S | {"node_name"},
    "k8s_pod": K8S | {"namespace_name", "pod_name"},
    "k8s_container": K8S | {"namespace_name", "pod_name", "container_name"},
    "gce_instance": {"project_id", "instance_id", "zone"},
    "gke_container": {
        "project_id", "cluster_name", "zone", "instance_id", "namespace_id", "pod_id",
        "container_name",
    },
}

GAUGE, CUMULATIVE = metric_pb2.MetricDescriptor.GAUGE, metric_pb2.MetricDescriptor.CUMULATIVE
INT64, DOUBLE = metric_pb2.MetricDescriptor.INT64, metric_pb2.MetricDescriptor.DOUBLE

# Metrics of Google's own, as the documentation lists them: kind, type, resource, labels.
CONTAINER, POD, NODE = "k8s_container", "k8s_pod", "k8s_node"
GOOGLE = {
    "kubernetes.io/container/uptime": (GAUGE, DOUBLE, CONTAINER, set()),
    "kubernetes.io/container/cpu/core_usage_time": (CUMULATIVE, DOUBLE, CONTAINER, set()),
    "kubernetes.io/container/cpu/request_cores": (GAUGE, DOUBLE, CONTAINER, set()),
    "kubernetes.io/container/cpu/limit_cores": (GAUGE, DOUBLE, CONTAINER, set()),
    "kubernetes.io/container/memory/used_bytes": (GAUGE, INT64, CONTAINER, {"memory_type"}),
    "kubernetes.io/container/memory/request_bytes": (GAUGE, INT64, CONTAINER, set()),
    "kubernetes.io/container/memory/limit_bytes": (GAUGE, INT64, CONTAINER, set()),
    "kubernetes.io/container/restart_count": (CUMULATIVE, INT64, CONTAINER, set()),
    "kubernetes.io/pod/network/received_bytes_count": (CUMULATIVE, INT64, POD, set()),
    "kubernetes.io/pod/network/sent_bytes_count": (CUMULATIVE, INT64, POD, set()),
    "kubernetes.io/pod/volume/used_bytes": (GAUGE, INT64, POD, {"volume_name"}),
    "kubernetes.io/pod/volume/total_bytes": (GAUGE, INT64, POD, {"volume_name"}),
    "kubernetes.io/node/cpu/core_usage_time": (CUMULATIVE, DOUBLE, NODE, set()),
    "kubernetes.io/node/cpu/total_cores": (GAUGE, DOUBLE, NODE, set()),
    "kubernetes.io/node/cpu/allocatable_cores": (GAUGE, DOUBLE, NODE, set()),
    "kubernetes.io/node/memory/used_bytes": (GAUGE, INT64, NODE, {"memory_type"}),
    "kubernetes.io/node/memory/total_bytes": (GAUGE, INT64, NODE, set()),
    "kubernetes.io/node/memory/allocatable_bytes": (GAUGE, INT64, NODE, set()),
    "kubernetes.io/node/network/received_bytes_count": (CUMULATIVE, INT64, NODE, set()),
    "kubernetes.io/node/network/sent_bytes_count": (CUMULATIVE, INT64, NODE, set()),
    "kubernetes.io/node_daemon/cpu/core_usage_time": (CUMULATIVE, DOUBLE, NODE, {"component"}),
    "kubernetes.io/node_daemon/memory/used_bytes": (
        GAUGE, INT64, NODE, {"component", "memory_type"},
    ),
}


class Refused(Exception):
    """A request that is refused, with a code of google.rpc and its details."""

    def __init__(self, code, message, *details):
        super().__init__(message)
        self.code, self.details = code, details


def check(condition, message, code=code_pb2.INVALID_ARGUMENT):
    if not condition:
        raise Refused(code, message)


def parse(body, message):
    """Reads JSON as protobuf's canonical mapping has it."""
    try:
        return json_format.Parse(body, message)
    except json_format.ParseError as error:
        raise Refused(code_pb2.INVALID_ARGUMENT, f"Invalid JSON payload: {error}") from error


def millis(timestamp):
    return timestamp.seconds * 1000 + timestamp.nanos // 1_000_000


def check_labels(labels):
    check(len(labels) <= 30, "a metric has at most 30 labels")
    for key, value in labels.items():
        check(re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]*", key), f"label key {key!r} is not legal")
        check(len(key) <= 100, "label keys have at most 100 characters")
        check(len(value.encode()) <= 1024, "label values have at most 1024 bytes")


def check_custom_type(name):
    legal = r"custom\.googleapis\.com/[A-Za-z0-9_./-]+"
    check(re.fullmatch(legal, name), f"metric type {name!r} is not legal")
    check(len(name) <= 200, "metric types have at most 200 characters")


class Google:
    """What it knows."""

    def __init__(self, port, folder):
        self.url = f"http://127.0.0.1:{port}"
        self.lock = threading.Lock()
        self.descriptors, self.series, self.entries = {}, {}, {}
        self.tokens, self.grants, self.failures, self.writes = set(), [], [], []
        self.write_credentials(Path(folder))

    def write_credentials(self, folder):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        encoding = serialization.Encoding.PEM
        pem = self.key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        subject = folder / "subject.json"
        subject.write_text(json.dumps({"id": "subject-token"}))
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "key-1",
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "token_uri": f"{self.url}/token",
        }
        user = {
            "type": "authorized_user",
            "client_id": "client",
            "client_secret": "secret",
            "refresh_token": "refresh",
            "quota_project_id": PROJECT,
            "token_uri": f"{self.url}/token",
        }
        federated = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/pools/p/providers/k",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{self.url}/v1/token",
            "quota_project_id": PROJECT,
            "credential_source": {
                "file": str(subject),
                "format": {"type": "json", "subject_token_field_name": "id"},
            },
            "service_account_impersonation_url":
                f"{self.url}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken",
        }
        for name, content in [("account", account), ("user", user), ("federated", federated)]:
            (folder / f"{name}.json").write_text(json.dumps(content))

    # Tokens

    def issue(self, grant):
        token = f"token-{len(self.grants)}"
        self.grants.append(grant)
        self.tokens.add(token)
        return token

    def token(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        grant = form["grant_type"]
        if grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            public = self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            claims = jwt.decode(form["assertion"], certs=public, audience=f"{self.url}/token")
            assert jwt.decode_header(form["assertion"])["kid"] == "key-1"
            assert claims["iss"] == ACCOUNT and set(claims["scope"].split()) == SCOPES
            assert claims["exp"] - claims["iat"] <= 3600
        else:
            assert grant == "refresh_token", grant
            assert form["client_secret"] == "secret" and form["refresh_token"] == "refresh"
        return {"access_token": self.issue(grant), "expires_in": 3600, "token_type": "Bearer"}

    def exchange(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
        assert form["subject_token"] == "subject-token" and form["audience"].startswith("//iam")
        assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
        token = self.issue("exchange")
        return {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def impersonate(self, body):
        assert set(json.loads(body)["scope"]) == SCOPES
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return {"accessToken": self.issue("impersonation"), "expireTime": ends}

    def metadata(self, path, query, headers):
        assert headers.get("Metadata-Flavor") == "Google"
        if path == "instance/service-accounts/default/token":
            assert set(query["scopes"][0].split(",")) == SCOPES
            token = self.issue("metadata")
            return {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        known = {
            "project/project-id": PROJECT,
            "instance/zone": "projects/1/zones/europe-west1-b",
        }
        return known.get(path)

    def authorize(self, headers):
        kind, _, token = headers.get("Authorization", "").partition(" ")
        known = kind == "Bearer" and token in self.tokens
        check(known, "Request had invalid authentication credentials.", code_pb2.UNAUTHENTICATED)

    # Cloud Monitoring

    def describe(self, body):
        descriptor = parse(body, metric_pb2.MetricDescriptor())
        check_custom_type(descriptor.type)
        check_labels({label.key: "" for label in descriptor.labels})
        check(descriptor.metric_kind and descriptor.value_type, "a kind and a type are needed")
        unit = r"1|1/s|%|By|ms|ns|\{[!-z|~]+\}|"
        check(re.fullmatch(unit, descriptor.unit), f"unit {descriptor.unit!r} is not known")
        known = self.descriptors.get(descriptor.type)
        shape = (descriptor.metric_kind, descriptor.value_type)
        same = known is None or (known.metric_kind, known.value_type) == shape
        check(same, "a metric cannot change its kind or type")
        self.descriptors[descriptor.type] = descriptor
        return json_format.MessageToDict(descriptor)

    def create_time_series(self, project, body):
        raw = monitoring_v3.CreateTimeSeriesRequest
        request = parse(body, raw.pb(raw()))
        check(project == PROJECT and not request.name, "the project is not known")
        check(1 <= len(request.time_series) <= 200, "a request has 1 to 200 time series")
        keys = [self.key_of(series) for series in request.time_series]
        once = "Duplicate TimeSeries encountered. Only one point can be written per request."
        check(len(set(keys)) == len(keys), once)
        errors = {}
        for key, series in zip(keys, request.time_series):
            try:
                self.add_point(key, series)
            except Refused as error:
                errors.setdefault((error.code, str(error)), []).append(key)
        total, failed = len(keys), sum(map(len, errors.values()))
        self.writes.append({"total": total, "taken": total - failed})
        if errors:
            raise self.summary(errors, total, failed)
        return {}

    @staticmethod
    def summary(errors, total, failed):
        Summary = monitoring_v3.CreateTimeSeriesSummary
        summary = Summary(total_point_count=total, success_point_count=total - failed)
        for (code, message), keys in errors.items():
            status = status_pb2.Status(code=code, message=message)
            summary.errors.append(Summary.Error(status=status, point_count=len(keys)))
        code, message = next(iter(errors))
        said = f"One or more TimeSeries could not be written: {message}"
        return Refused(code, said, Summary.pb(summary))

    @staticmethod
    def key_of(series):
        metric, resource = series.metric, series.resource
        parts = [metric.type, dict(metric.labels), resource.type, dict(resource.labels)]
        return json.dumps(parts, sort_keys=True)

    def add_point(self, key, series):
        metric, resource = series.metric, series.resource
        check_labels(metric.labels)
        expected = RESOURCES.get(resource.type)
        check(expected is not None, f"resource type {resource.type!r} is not known")
        check(set(resource.labels) == expected, f"labels of {resource.type} are {expected}")
        check(resource.labels["project_id"] == PROJECT, "project_id is another project")
        self.check_type(series)
        check(len(series.points) == 1, "a time series has one point in a request")
        point = series.points[0]
        value = point.value.WhichOneof("value")
        wanted = {INT64: "int64_value", DOUBLE: "double_value"}[series.value_type]
        check(value == wanted, f"the value is {value}, not {wanted}")
        self.check_interval(key, series.metric_kind, point.interval)
        start = millis(point.interval.start_time) if point.interval.HasField("start_time") else None
        added = {"start": start, "end": millis(point.interval.end_time)}
        added["value"] = getattr(point.value, value)
        self.series.setdefault(key, []).append(added)

    def check_type(self, series):
        name, labels = series.metric.type, set(series.metric.labels)
        shape = (series.metric_kind, series.value_type)
        if name in GOOGLE:
            kind, value_type, resource, keys = GOOGLE[name]
            check(shape == (kind, value_type), f"{name} is of another kind or type")
            check(series.resource.type == resource, f"{name} is of {resource}")
            check(labels == keys, f"{name} has the labels {keys}")
            return
        check_custom_type(name)
        known = self.descriptors.get(name)
        if known is None:
            known = metric_pb2.MetricDescriptor(type=name)
            known.metric_kind, known.value_type = shape
            known.description = "auto created"
            known.labels.extend([{"key": key} for key in labels])
            self.descriptors[name] = known
        same = shape == (known.metric_kind, known.value_type)
        check(same, f"{name} is described with another kind or type")
        check(labels <= {label.key for label in known.labels}, f"{name} has other labels")

    def check_interval(self, key, kind, interval):
        check(interval.HasField("end_time"), "an end time is needed")
        end, now = millis(interval.end_time), time.time() * 1000
        check(now - 25 * 3600e3 <= end <= now + 300e3, "the end time is not of these days")
        start = millis(interval.start_time) if interval.HasField("start_time") else end
        last = self.series.get(key, [None])[-1]
        if kind == GAUGE:
            check(start == end, "a gauge has no interval")
        else:
            check(start < end, "a cumulative point has its start before its end")
            if last and start != last["start"]:
                check(start > last["end"], "a new start must come after the last end")
        if last:
            check(end > last["end"], "Points must be written in order.")
            gap = end - last["end"]
            often = "One or more points were written more frequently than the maximum."
            check(gap >= GAP_SECONDS * 1000, often)

    # Cloud Logging

    def write_entries(self, body):
        raw = logging_v2.types.WriteLogEntriesRequest
        request = parse(body, raw.pb(raw()))
        log = f"projects/{PROJECT}/logs/kubernetes.io%2Fevents"
        check(request.log_name == log and request.partial_success, "the log is another one")
        check(len(body) <= 10_000_000, "a request has at most 10 MB")
        for entry in request.entries:
            labels = RESOURCES.get(entry.resource.type)
            check(set(entry.resource.labels) == labels, f"{entry.resource.type} has {labels}")
            check(0 < len(entry.insert_id) <= 512, "an entry needs an insertId")
            check(entry.HasField("json_payload") and entry.severity, "an entry says something")
            # Entries with one time and insertId are one.
            identity = (entry.insert_id, millis(entry.timestamp))
            self.entries[identity] = json_format.MessageToDict(entry)
        return {}

    def state(self):
        series = [{"key": json.loads(key), "points": points} for key, points in self.series.items()]
        descriptors = [json_format.MessageToDict(one) for one in self.descriptors.values()]
        return {
            "series": series,
            "descriptors": descriptors,
            "entries": list(self.entries.values()),
            "grants": self.grants,
            "writes": self.writes,
        }


class Handler(BaseHTTPRequestHandler):
    """Requests to the methods above."""

    protocol_version = "HTTP/1.1"
    google = None

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        self.serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def serve(self, body):
        try:
            with self.google.lock:
                answer = self.route(urllib.parse.urlsplit(self.path), body)
            self.answer(404 if answer is None else 200, answer)
        except Refused as error:
            details = []
            for detail in error.details:
                packed = any_pb2.Any()
                packed.Pack(detail)
                details.append(json_format.MessageToDict(packed))
            name = code_pb2.Code.Name(error.code)
            status = HTTP_OF[error.code]
            said = {"code": status, "message": str(error), "status": name, "details": details}
            self.answer(status, {"error": said})
        except Exception as error:  # pylint: disable=broad-except
            said = f"{type(error).__name__}: {error}"
            self.answer(400, {"error": "invalid_request", "error_description": said})

    def route(self, url, body):
        google, path = self.google, url.path
        if path == "/__state":
            return google.state()
        if path == "/__revoke":
            google.tokens.clear()
            return {}
        if path == "/__fail":
            google.failures.append(json.loads(body))
            return {}
        if path.startswith("/computeMetadata/v1/"):
            query = urllib.parse.parse_qs(url.query)
            return google.metadata(path.removeprefix("/computeMetadata/v1/"), query, self.headers)
        if path == "/token":
            return google.token(body)
        if path == "/v1/token":
            return google.exchange(body)
        google.authorize(self.headers)
        if path.endswith(":generateAccessToken"):
            return google.impersonate(body)
        if google.failures and path.endswith(google.failures[0]["path"]):
            failure = google.failures.pop(0)
            raise Refused(failure["code"], "as told")
        if path.endswith("/metricDescriptors"):
            return google.describe(body)
        if path.endswith("/timeSeries"):
            return google.create_time_series(path.split("/")[3], body)
        if path == "/v2/entries:write":
            return google.write_entries(body)
        return None

    def answer(self, status, content):
        text = content if isinstance(content, str) else json.dumps(content)
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    Handler.google = Google(port, folder)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


main()
