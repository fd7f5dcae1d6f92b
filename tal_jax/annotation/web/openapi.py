"""The server's description in OpenAPI 3.1, made from the very types that check and encode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tal_jax.annotation.web.guard import MAX_BODY
from tal_jax.annotation.web.messages import Error, Health
from tal_jax.annotation.web.operations import Operation

_REF = "#/components/schemas/{name}"
_REFUSALS = {
    400: "the body is not JSON, or the request takes none",
    401: "the token is missing, unknown, expired or revoked",
    403: "not for this role, or sent by a page of another site",
    404: "there is no such thing",
    409: "contradicts what is stored, e.g. the lease is over",
    413: f"the body is larger than {MAX_BODY // 1024} KiB",
    415: "the body is not declared as application/json",
    422: "a value is missing, or of another form or range",
    503: "the database is busy or its disk full; nothing was stored, try again",
}

_PAGE = ("text/html", "text/javascript", "text/css", "image/svg+xml")


def describe(operations: Iterable[Operation], *, title: str, crowd: bool) -> dict[str, Any]:
  """The description of a server with these operations; `crowd`: with the door for a crowd."""
  operations = tuple(operations)
  types = _types(operations)
  refs, components = msgspec.json.schema_components(types, ref_template=_REF)
  schema = dict(zip(types, refs, strict=True))
  paths: dict[str, dict[str, Any]] = {}
  for path, method, described in _others(schema, crowd):
    paths.setdefault(path, {})[method] = described
  for operation in operations:
    paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema)
  return {
      "openapi": "3.1.0",
      "info": {"title": title, "version": "1",
               "description": "Marking where actions happen in videos. Times are in seconds."},
      "paths": paths,
      "components": {"schemas": components, "securitySchemes": {
          "bearer": {"type": "http", "scheme": "bearer",
                     "description": "the part of a worker's link behind the #"}}},
  }


def _types(operations: Iterable[Operation]) -> list[type]:
  found = {Error: None, Health: None}
  for o in operations:
    found |= {t: None for t in (o.body_type, o.answer) if isinstance(t, type)}
  return list(found)


def _operation(operation: Operation, schema: Mapping[type, Any]) -> dict[str, Any]:
  unsafe = operation.method != "GET"
  statuses = {400, 401, 503, *operation.refusals}
  statuses |= {403} if unsafe or operation.role == "operator" else set()
  statuses |= {404} if operation.path_type else set()
  statuses |= {422} if operation.query_type or operation.body_type else set()
  statuses |= {415} if operation.body_type else set()
  described = {
      "summary": operation.summary,
      "description": f"For {operation.role}s"
                     + (", and operators." if operation.role == "annotator" else "."),
      "security": [{"bearer": []}],
      "responses": {"200": _content("done", {
          kind: {} for kind in operation.answer} if isinstance(operation.answer, tuple) else {
          "application/json": {"schema": schema[operation.answer]}})}
      | _refusals(statuses | {413}, schema),
  }
  parameters = [*_parameters(operation.path_type, "path"),
                *_parameters(operation.query_type, "query")]
  if parameters:
    described["parameters"] = parameters
  if operation.body_type:
    described["requestBody"] = {"required": True, "content": {
        "application/json": {"schema": schema[operation.body_type]}}}
  return described


def _parameters(of: type[msgspec.Struct] | None, where: str) -> list[dict[str, Any]]:
  if of is None:
    return []
  _, components = msgspec.json.schema_components([of], ref_template=_REF)
  inlined = components[of.__name__]
  return [{"name": name, "in": where, "required": name in inlined.get("required", ()),
           "schema": value} for name, value in inlined["properties"].items()]


def _refusals(statuses: Iterable[int], schema: Mapping[type, Any]) -> dict[str, Any]:
  error = {"application/json": {"schema": schema[Error]}}
  return {str(s): _content(_REFUSALS[s], error) for s in sorted(statuses)}


def _content(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
  return {"description": description, "content": content}


def _others(schema: Mapping[type, Any], crowd: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
  """(path, method, description) of what is not an operation of the API, and needs no token."""
  yield "/", "get", _file("The annotator's page", _PAGE[:1], schema)
  yield "/campaign", "get", _file("The operator's page", _PAGE[:1], schema)
  yield "/page/{file}", "get", _file("Scripts and styles of the pages", _PAGE, schema) | {
      "parameters": [_text("file", "path")]}
  video = _file("A video, by the ticket in its task", ("video/*", "application/octet-stream"),
                schema, {403, 503})
  plain = {"text/plain": {"schema": {"type": "string"}}}
  video["parameters"] = [_text("ticket", "path"), _text("Range", "header")]
  video["responses"] |= {
      "206": _content("the ranges asked for", {"video/*": {}, "multipart/byteranges": {}}),
      "400": _content("a range that is none", plain),
      "416": _content("a range outside the file", plain)}
  yield "/media/{ticket}", "get", video
  for path, summary, answer in (("/healthz", "Whether the server runs", schema[Health]),
                                ("/openapi.json", "This description", {"type": "object"})):
    yield path, "get", {"summary": summary, "responses": {
        "200": _content("done", {"application/json": {"schema": answer}})}
        | _refusals({413}, schema)}
  if crowd:
    yield "/crowd", "get", _file("The annotator's page, framed by the crowd's", _PAGE[:1], schema)
    yield "/mturk", "get", {
        "summary": "Where Mechanical Turk sends its workers",
        "parameters": [_text(name, "query") for name in (
            "assignmentId", "hitId", "workerId", "turkSubmitTo", "hit", "key")],
        "responses": {"303": {"description": "to /crowd, with what it needs behind the #"}}
        | _refusals({403, 409, 413, 422, 503}, schema)}


def _text(name: str, where: str) -> dict[str, Any]:
  return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}}


def _file(summary: str, media_types: Iterable[str], schema: Mapping[type, Any],
          refusals: Iterable[int] = ()) -> dict[str, Any]:
  return {"summary": summary, "responses": {
      "200": _content("the file", {kind: {} for kind in media_types})}
      | _refusals({*refusals, 404, 413}, schema)}
