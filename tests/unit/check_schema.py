# What:   holds JSON files against a JSON Schema (draft 2020-12) with a schema library: the first file must be valid.
#         Each further file must be refused, or the schema would not notice what it is there for.
# Usage:  check_schema.py SCHEMA VALID.json [REFUSED.json ...]
# Exit:   0 as expected; 1 not as expected; 77 if the Python package jsonschema is missing (CTest: skipped).
# SPDX-License-Identifier: Apache-2.0
import json
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: the Python package jsonschema is not installed")
    sys.exit(77)


def load(path):
    def refuse(word):
        raise ValueError(f"{path}: {word} is not JSON")

    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_constant=refuse)


def main():
    schema_path, valid, *refused = sys.argv[1:]
    schema = load(schema_path)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = True
    for error in sorted(validator.iter_errors(load(valid)), key=lambda e: list(map(str, e.absolute_path))):
        place = ".".join(str(step) for step in error.absolute_path) or "(whole file)"
        print(f"{valid}: {place}: {error.message[:300]}")
        good = False
    for path in refused:
        if validator.is_valid(load(path)):
            print(f"{path}: the schema accepts it, but it is there to be refused")
            good = False
    print(f"{'ok' if good else 'NOT ok'}: {valid} and {len(refused)} files to be refused")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
