"""The official Google Gen AI SDK for Python: generateContent, whole and streamed, and embeddings."""

import json

from google import genai
from google.genai import errors, types
from report import BASE_URL, CITIES, HELLO, KEY, PARAMETERS, PROVIDERS, REPORT, SCHEMA, SPENT_KEY, WEATHER, case, done, expect, raises, structured

FUNCTION = types.FunctionDeclaration(name="get_weather", description="The weather.", parameters_json_schema=PARAMETERS)
TOOLS = [types.Tool(function_declarations=[FUNCTION])]


def client(key=KEY):
    once = types.HttpRetryOptions(attempts=1)
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=BASE_URL, timeout=30_000, retry_options=once))


class Generate:
    def __init__(self, provider):
        self.provider = provider
        self.client = client()
        self.models = self.client.models

    def model(self, name):
        return f"{self.provider}/{name}"

    def plain(self):
        config = types.GenerateContentConfig(max_output_tokens=50, system_instruction="Be brief.")
        answer = self.models.generate_content(model=self.model("hello"), contents="Hello?", config=config)
        expect(answer.text, HELLO)
        expect(answer.candidates[0].finish_reason, types.FinishReason.STOP)
        expect((answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count), (20, 10))

    def stream(self):
        chunks = list(self.models.generate_content_stream(model=self.model("hello"), contents="Hello?"))
        pieces = [chunk.text for chunk in chunks if chunk.text]
        assert len(pieces) > 2, pieces
        expect("".join(pieces), HELLO)
        expect(chunks[-1].usage_metadata.candidates_token_count, 10)

    def rounds(self, ask):
        question = types.Content(role="user", parts=[types.Part(text="The weather?")])
        called = [part for part in ask([question]) if part.function_call]
        expect([part.function_call.args["city"] for part in called], CITIES)
        answered = [
            types.Part(function_response=types.FunctionResponse(
                id=part.function_call.id, name=part.function_call.name, response={"output": WEATHER[part.function_call.args["city"]]}))
            for part in called
        ]
        turns = [question, types.Content(role="model", parts=called), types.Content(role="user", parts=answered)]
        expect("".join(part.text or "" for part in ask(turns)), REPORT)

    def config(self):
        off = types.AutomaticFunctionCallingConfig(disable=True)
        return types.GenerateContentConfig(tools=TOOLS, automatic_function_calling=off)

    def tools_whole(self):
        ask = lambda turns: self.models.generate_content(model=self.model("weather"), contents=turns, config=self.config())
        self.rounds(lambda turns: ask(turns).candidates[0].content.parts)

    def tools_streamed(self):
        def ask(turns):
            chunks = self.models.generate_content_stream(model=self.model("weather"), contents=turns, config=self.config())
            contents = [chunk.candidates[0].content for chunk in chunks if chunk.candidates]
            return [part for content in contents if content and content.parts for part in content.parts]

        self.rounds(ask)

    def structured(self):
        config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA)
        answer = self.models.generate_content(model=structured(self.provider), contents="As JSON?", config=config)
        expect(json.loads(answer.text), {"city": "Zürich", "degrees": 21})

    def errors(self):
        ask = lambda by, model: by.models.generate_content(model=model, contents="Hello?")
        code = lambda error: error.code
        raises(errors.ClientError, 400, lambda: ask(client(), "nobody/hello"), code)
        raises(errors.ClientError, 401, lambda: ask(client("mlx_sk_unknown"), "google/hello"), code)
        raises(errors.ClientError, 402, lambda: ask(client(SPENT_KEY), "google/hello"), code)
        raises(errors.ClientError, 404, lambda: ask(client(), self.model("missing")), code)
        busy = raises(errors.ClientError, 429, lambda: ask(client(), self.model("busy")), code)
        expect(busy.status, "RESOURCE_EXHAUSTED")

    def disconnect(self):
        stream = self.models.generate_content_stream(model=self.model("endless"), contents="Hello?")
        said = ""
        for chunk in stream:
            said += chunk.text or ""
            if len(said) > 10:
                break
        stream.close()
        self.client.close()


def embeddings(provider):
    # The models do not keep their client alive.
    own = client()
    answer = own.models.embed_content(model=f"{provider}/embed", contents=["a", "b"])
    expect([embedding.values for embedding in answer.embeddings], [[0.5, -0.5, 0.25, 1.0]] * 2)


CASES = ["plain", "stream", "tools_whole", "tools_streamed", "structured", "errors", "disconnect"]
for provider in PROVIDERS:
    for name in CASES:
        case("generateContent", provider, name, getattr(Generate(provider), name))
for provider in ["google", "openai"]:
    case("embedContent", provider, "plain", lambda: embeddings(provider))
done()
