"""Bad requests, made from the server's own description: each breaks one thing it says."""

import re
from typing import Any, NamedTuple

JSON = "application/json"
_OF_OTHER_TYPES = {
    "string": (None, True, 1, 1.5, [], {}), "integer": (None, True, 1.5, "1", [], {}, 10**30),
    "number": (None, True, "1", [], {}), "array": (None, True, 1, "x", {}),
}
_WORDS = ("", "other", "\x00", "a\nb", "a\n", "x" * 300)
_BAD_IDS = (
    "0", "-1", "1.5", "1e3", "abc", "null", "true", "", "0x1", "1_0", "%201", "1%20", "%00", "1%00",
    "9007199254740992", "9223372036854775808", "18446744073709551616", "9" * 5000, "%EF%BC%91",
    "1;DROP%20TABLE%20tasks", "1'%20OR%20'1'='1", "%7Bid%7D", "1%0a", "NaN", "[1]", "%FF")
_NO_JSON = (
    b"", b"{", b"[", b'{"a":}', b"{'a': 1}", b"nul", b"\xff\xfe", b"\xef\xbb\xbf{}", b"a=1", b"{}x",
    b"\x00", b"[" * 50_000, b'{"a":' * 20_000, b'"\\ud800"', b'"\\x"', b'{"a": NaN}',
    b'{"a": Infinity}', b'{"a": 01}', b"<a/>", b'{"a": "\xed\xa0\x80"}')
_OTHER_TYPES = (None, "", "text/plain", "text/json", "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x", "application/jsonx", "json", "*/*")


class Bad(NamedTuple):
  kind: str  # unique
  template: str  # path as described
  method: str
  path: str
  status: int  # with which it must be refused
  client: str = "operator"
  headers: tuple[tuple[str, str], ...] = ()
  query: str = ""
  content: bytes | None = None
  json: Any = None


def of(described, good_bodies, clients):
  """All bad requests.

  Args:
    described: the server's openapi.json.
    good_bodies: path -> a body that is good, for each operation that takes one.
    clients: names of clients without a valid token.
  """
  for template, item in described["paths"].items():
    if template.startswith("/api/"):
      for method, operation in item.items():
        for bad in _of_operation(described, template, method.upper(), operation,
                                 good_bodies.get(template), clients):
          yield bad._replace(kind=f"{method.upper()} {template}: {bad.kind}")


def _of_operation(described, template, method, operation, body, clients):
  path = template.replace("{id}", "1").replace("{format}", "csv")
  good = Bad("", template, method, path, 200, json=body)
  for client in clients:
    yield good._replace(kind=f"token: {client}", status=401, client=client)
  if operation["description"] == "For operators.":
    yield good._replace(kind="role", status=403, client="annotator")
  if method != "GET":
    yield good._replace(kind="origin", status=403, headers=(("Origin", "http://evil.example"),))
  for parameter in operation.get("parameters", ()):
    name, schema = parameter["name"], parameter["schema"]
    if parameter["in"] == "path":
      for value in _BAD_IDS if name == "id" else ("", "xml", "CSV", "csv%00", "..", "csv.json"):
        yield good._replace(kind=f"{name} {value[:40]!r}", status=404,
                            path=template.replace(f"{{{name}}}", value))
    else:
      for value in _query_values(schema):
        yield good._replace(kind=f"query {name} {value[:40]!r}", status=422,
                            query=f"{name}={value}")
  if any(p["in"] == "query" for p in operation.get("parameters", ())):
    yield good._replace(kind="unknown query", status=422, query="color=red")
  yield from _of_body(described, good, operation.get("requestBody"))


def _of_body(described, good, request_body):
  if request_body is None:
    for content in (b"{", b"[]", b"null", b'{"a": 1}', b"x"):
      yield good._replace(kind=f"body {content!r} where none is taken", status=400,
                          content=content, headers=(("Content-Type", JSON),))
    return
  schema = request_body["content"][JSON]["schema"]
  schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
  for content in _NO_JSON:
    yield good._replace(kind=f"body {content[:20]!r}", status=400, content=content, json=None,
                        headers=(("Content-Type", JSON),))
  for media_type in _OTHER_TYPES:
    yield good._replace(
        kind=f"type {media_type}", status=415, json=None, content=b"{}",
        headers=() if media_type is None else (("Content-Type", media_type),))
  for value in (None, True, 1, 1.5, "x", [], [{}], [good.json]):
    yield _with_json(good, f"body of another type {value!r}", value)
  yield _with_json(good, "unknown field", good.json | {"more": 1})
  for name in schema["required"]:
    yield _with_json(good, f"no {name}", {k: v for k, v in good.json.items() if k != name})
  for name, field in schema["properties"].items():
    for value in violations(field):
      yield _with_json(good, f"{name} {str(value)[:40]!r}{len(str(value))}",
                       good.json | {name: value})


def _with_json(good, kind, value):
  import json

  return good._replace(kind=kind, status=422, json=None, content=json.dumps(value).encode(),
                       headers=(("Content-Type", JSON),))


def violations(schema):
  """Values that the schema, of the forms that the description has, forbids."""
  kind = schema.get("type") or "string"  # an enum of strings
  yield from _OF_OTHER_TYPES[kind]
  if "enum" in schema:
    yield from (word for word in _WORDS if word not in schema["enum"])
  if "pattern" in schema:
    yield from (word for word in _WORDS if not re.search(schema["pattern"], word))
  if schema.get("minLength"):
    yield "x" * (schema["minLength"] - 1)
  if "maxLength" in schema:
    yield "x" * (schema["maxLength"] + 1)
  for bound, steps in (("minimum", (-1, -1000)), ("maximum", (1, 1000)),
                       ("exclusiveMinimum", (0, -1000)), ("exclusiveMaximum", (0, 1000))):
    if bound in schema:
      yield from (schema[bound] + step for step in steps)
  if isinstance(schema.get("items"), dict):
    yield from ([value] for value in violations(schema["items"]))
  if "prefixItems" in schema:
    parts = [1.0 + i for i in range(len(schema["prefixItems"]))]
    yield from (parts[:-1], [*parts, 9.0], [])
    for i, part in enumerate(schema["prefixItems"]):
      yield from ([*parts[:i], value, *parts[i + 1:]] for value in violations(part))


def _query_values(schema):
  if "enum" in schema:
    return ("other", "OPEN", "%00", "submitted", "open%20")
  if schema["type"] == "integer":
    return ("x", "-1", "1.5", "1e2", "", "%00", "9" * 30, "NaN", "true", "null", "%201")
  return ("x" * (schema["maxLength"] + 1), "%C3%A9" * (schema["maxLength"] + 1))
