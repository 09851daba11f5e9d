"""Receives OTLP metrics over HTTP and gRPC, and tells what it got.

usage: otlp.py HTTP_PORT GRPC_PORT

Everything is read with the message definitions that OpenTelemetry publishes, and held against what
they and the specification demand. GET /__state gives the points and the complaints; POST /__next
with {"code": N, "wait": S} or {"rejected": N} says what becomes of the next request.
"""

import gzip
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import any_pb2, duration_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as stubs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics

LOCK = threading.Lock()
STATE = {"points": [], "complaints": [], "requests": [], "next": None}


def complain(condition, text):
    if not condition:
        STATE["complaints"].append(text)


def attributes(pairs, where):
    keys = [pair.key for pair in pairs]
    complain(len(keys) == len(set(keys)), f"{where}: an attribute is there twice: {keys}")
    for pair in pairs:
        complain(pair.key, f"{where}: an attribute without a key")
        complain(pair.value.WhichOneof("value") == "string_value", f"{where}: {pair}")
    return {pair.key: pair.value.string_value for pair in pairs}


def read_metric(metric, resource):
    kind = metric.WhichOneof("data")
    complain(kind in ("gauge", "sum"), f"{metric.name}: data is {kind}")
    complain(metric.name and metric.unit is not None, "a metric without a name")
    data = getattr(metric, kind)
    if kind == "sum":
        cumulative = metrics.AGGREGATION_TEMPORALITY_CUMULATIVE
        complain(data.aggregation_temporality == cumulative, f"{metric.name}: temporality")
    complain(len(data.data_points) > 0, f"{metric.name}: no points")
    for point in data.data_points:
        value = point.WhichOneof("value")
        complain(value is not None, f"{metric.name}: a point without a value")
        complain(point.time_unix_nano > 0, f"{metric.name}: a point without a time")
        complain(point.start_time_unix_nano <= point.time_unix_nano, f"{metric.name}: times")
        yield {
            "resource": resource,
            "name": metric.name,
            "unit": metric.unit,
            "kind": kind,
            "monotonic": kind == "sum" and data.is_monotonic,
            "attributes": attributes(point.attributes, metric.name),
            "start_ms": point.start_time_unix_nano // 1_000_000,
            "time_ms": point.time_unix_nano // 1_000_000,
            "type": value,
            "value": getattr(point, value),
        }


def read(request):
    points = []
    for of_resource in request.resource_metrics:
        resource = attributes(of_resource.resource.attributes, "resource")
        for of_scope in of_resource.scope_metrics:
            complain(of_scope.scope.name == "heapster", "the scope has another name")
            names = [metric.name for metric in of_scope.metrics]
            complain(len(names) == len(set(names)), f"a metric is there twice: {names}")
            for metric in of_scope.metrics:
                points.extend(read_metric(metric, resource))
    again = request.SerializeToString()
    known = service.ExportMetricsServiceRequest.FromString(again)
    complain(known == request, "it does not survive being written again")
    complain(b"".join(unknown_fields(request)) == b"", "it has fields that are not defined")
    return points


def unknown_fields(message):
    """Bytes of a copy that knows only what is defined, where they are fewer than those that came."""
    copy = type(message)()
    copy.CopyFrom(message)
    before = copy.ByteSize()
    copy.DiscardUnknownFields()
    return [] if copy.ByteSize() == before else [b"unknown"]


def take(request, how):
    """What is to become of a request, and how many of its points are refused."""
    with LOCK:
        following, STATE["next"] = STATE["next"], None
        STATE["requests"].append(how)
        if following and "code" in following:
            return following, 0
        points = read(request)
        rejected = following["rejected"] if following else 0
        STATE["points"].extend(points[: len(points) - rejected])
        return None, rejected


def answer_of(rejected):
    answer = service.ExportMetricsServiceResponse()
    if rejected:
        answer.partial_success.rejected_data_points = rejected
        answer.partial_success.error_message = "too old"
    return answer


class Metrics(stubs.MetricsServiceServicer):
    def Export(self, request, context):
        sent = dict(context.invocation_metadata())
        how = {"over": "grpc", "authorization": sent.get("authorization", "")}
        failure, rejected = take(request, how)
        if failure:
            details = any_pb2.Any()
            # google.rpc.RetryInfo, whose only field is a duration, as google.rpc.Status has it.
            delay = duration_pb2.Duration(seconds=failure.get("wait", 0)).SerializeToString()
            details.type_url = "type.googleapis.com/google.rpc.RetryInfo"
            details.value = bytes([0x0A, len(delay)]) + delay
            body = details.SerializeToString()
            status = bytes([0x08, failure["code"], 0x1A, len(body)]) + body
            if "wait" in failure:
                context.set_trailing_metadata((("grpc-status-details-bin", status),))
            code = next(code for code in grpc.StatusCode if code.value[0] == failure["code"])
            context.abort(code, "not now")
        return answer_of(rejected)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, code, body, kind, headers=()):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with LOCK:
            body = json.dumps(STATE).encode()
        self.reply(200, body, "application/json")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/__next":
            with LOCK:
                STATE["next"] = json.loads(body)
            return self.reply(200, b"{}", "application/json")
        with LOCK:
            complain(self.path == "/v1/metrics", f"posted to {self.path}")
            kind = self.headers["Content-Type"]
            complain(kind == "application/x-protobuf", f"posted as {kind}")
        packed = self.headers.get("Content-Encoding") == "gzip"
        request = service.ExportMetricsServiceRequest.FromString(
            gzip.decompress(body) if packed else body
        )
        how = {"over": "http", "authorization": self.headers.get("Authorization", "")}
        failure, rejected = take(request, how | {"gzip": packed})
        if failure:
            wait = [("Retry-After", str(failure["wait"]))] if "wait" in failure else []
            return self.reply(failure["code"], b"", "application/x-protobuf", wait)
        self.reply(200, answer_of(rejected).SerializeToString(), "application/x-protobuf")


def main():
    http_port, grpc_port = map(int, sys.argv[1:])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    stubs.add_MetricsServiceServicer_to_server(Metrics(), server)
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    server.start()
    ThreadingHTTPServer(("127.0.0.1", http_port), Handler).serve_forever()


main()
