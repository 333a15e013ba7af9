"""Every example of an OpenAPI document against its schema. Reads the document, prints each that does not hold."""
import json
import sys

import jsonschema_rs

document = json.load(sys.stdin)
schemas = document["components"]["schemas"]
checked, wrong = 0, []


def check(schema, example, place):
    global checked
    checked += 1
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": {"schemas": schemas}, **schema}
    validator = jsonschema_rs.validator_for(whole, validate_formats=True)
    wrong.extend(f"{place}: {error.message}" for error in validator.iter_errors(example))


def walk(schema, place):
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            walk(part, f"{place}/{number}")
        return
    if not isinstance(schema, dict):
        return
    for example in schema.get("examples", []) if isinstance(schema.get("examples"), list) else []:
        check(schema, example, place)
    if "example" in schema and ("type" in schema or "allOf" in schema):
        check(schema, schema["example"], place)
    for name, part in schema.items():
        if name not in ("example", "examples", "enum", "default"):
            walk(part, f"{place}/{name}")


walk(document["paths"], "paths")
walk(schemas, "schemas")
for path, item in document["paths"].items():
    for method, operation in item.items():
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                check(parameter["schema"], parameter["example"], f"{method} {path} {parameter['name']}")
print(f"{checked} examples, {len(wrong)} wrong")
print("\n".join(wrong))
sys.exit(1 if wrong or checked < 50 else 0)
