"""`/docs`: the published schema as one page that needs nothing from elsewhere, so that it opens in a factory too."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1b1b }
h2 { border-top: 1px solid #ccc; padding-top: 1.2rem; font-size: 1.1rem }
h2 code { background: none; font-size: 1.05rem } .method { color: #fff; background: #2b5c8a; border-radius: 4px;
padding: .1rem .5rem; font-size: .85rem } pre, code { background: #f4f4f2; border-radius: 4px }
pre { padding: .8rem; overflow-x: auto; font-size: .85rem } table { border-collapse: collapse }
td, th { border-bottom: 1px solid #ddd; padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top }
"""


def docs_page(schema: dict[str, Any]) -> str:
    """The page of an OpenAPI schema."""
    parts = [f"<h1>{escape(schema['info']['title'])}</h1>", _paragraphs(schema["info"].get("description", ""))]
    parts.append('<p>The same for machines: <a href="openapi.json">openapi.json</a>.</p>')
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation, schema))
    title = escape(schema["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"{''.join(parts)}</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any], schema: dict[str, Any]) -> str:
    parts = [f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>']
    parts.append(_paragraphs(operation.get("description") or operation.get("summary", "")))
    if parameters := operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}"
            f"{', needed' if p.get('required') else ''}</td><td>{escape(p.get('description', ''))}</td></tr>"
            for p in parameters
        )
        parts.append(f"<table><tr><th>parameter</th><th></th><th></th></tr>{rows}</table>")
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        parts.append(_fields(content.get("schema", {}), schema))
        parts.append(_example("Request", content.get("example")))
    for status, answer in operation.get("responses", {}).items():
        content = answer.get("content", {}).get("application/json", {})
        text = escape(answer.get("description", ""))
        parts.append(f"<p><b>{escape(status)}</b> {text}</p>" + _example("", content.get("example")))
    return "".join(parts)


def _fields(part: dict[str, Any], schema: dict[str, Any]) -> str:
    """A table of the fields of a request, and of the objects in its lists."""
    name = part.get("$ref", "").rpartition("/")[2]
    model = schema.get("components", {}).get("schemas", {}).get(name)
    if not model:
        return ""
    rows, below = [], ""
    for field, facts in model.get("properties", {}).items():
        needed = "needed" if field in model.get("required", ()) else ""
        rows.append(f"<tr><td><code>{escape(field)}</code></td><td>{needed}</td>"
                    f"<td>{escape(facts.get('description', ''))}</td></tr>")  # fmt: skip
        below += _fields(facts.get("items", {}), schema)
    head = f"<p>{escape(model.get('description', ''))}</p>" if model.get("description") else ""
    return f"{head}<table><tr><th>{escape(name)}</th><th></th><th></th></tr>{''.join(rows)}</table>{below}"


def _example(title: str, example: Any) -> str:
    if example is None:
        return ""
    text = escape(json.dumps(example, indent=2, ensure_ascii=False))
    return (f"<p>{title}</p>" if title else "") + f"<pre>{text}</pre>"


def _paragraphs(text: str) -> str:
    """Paragraphs, and indented blocks as they stand."""
    out = []
    for block in text.strip().split("\n\n"):
        if block.startswith("    "):
            lines = "\n".join(line.removeprefix("    ") for line in block.split("\n"))
            out.append(f"<pre>{escape(lines)}</pre>")
        else:
            words = escape(" ".join(block.split())).split("`")
            out.append("<p>" + "".join(f"<code>{w}</code>" if n % 2 else w for n, w in enumerate(words)) + "</p>")
    return "".join(out)
