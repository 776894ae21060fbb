"""What a client saw, one line of JSON a case, for the test that started it.

Each case runs whatever became of the one before; the process fails when any did, with the tracebacks on its standard error.
"""

import json
import sys
import traceback

#: Where and with which keys: given by the test as JSON.
SETTING = json.loads(sys.argv[1])
BASE_URL = SETTING["base_url"]
KEY = SETTING["key"]
#: A key whose budget is spent.
SPENT_KEY = SETTING["spent_key"]

#: The kinds of providers behind the worker, as their names in the manifest.
PROVIDERS = ["openai", "anthropic", "google"]
HELLO = "Grüße from Zürich 🦀, said in pieces."
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
#: What the tool takes.
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
CITIES = ["Zürich", "São Paulo"]
#: What the tool says, and what the model makes of it.
WEATHER = {"Zürich": "21 degrees", "São Paulo": "28 degrees"}
REPORT = "Zürich: 21 degrees. São Paulo: 28 degrees."

_failed = False


def case(surface, provider, name, run):
    """Runs one case and tells what became of it; what `run` returns is told instead of `ok`."""
    global _failed
    try:
        found = run() or "ok"
    except BaseException as error:
        _failed = True
        found = f"failed: {type(error).__name__}"
        print(f"--- {surface}, {provider}, {name}", file=sys.stderr)
        traceback.print_exc()
    print(json.dumps({"surface": surface, "provider": provider, "case": name, "found": found}), flush=True)


def structured(provider):
    """The model that answers as a schema says; Anthropic's are known by their names."""
    return "anthropic/claude-sonnet-4-5" if provider == "anthropic" else f"{provider}/structured"


def expect(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def raises(kind, status, call, key=lambda error: error.status_code):
    """The call fails with the SDK's own class of error, which knows the status and says something."""
    try:
        call()
    except kind as error:
        expect(type(error).__name__, kind.__name__)
        expect(key(error), status)
        assert str(error), "an error without words"
        return error
    raise AssertionError(f"no {kind.__name__}")


def done():
    sys.exit(1 if _failed else 0)
