"""The official OpenAI SDK for Python: chat completions, responses, embeddings, models."""

import json

import openai
from report import BASE_URL, CITIES, HELLO, KEY, PARAMETERS, PROVIDERS, REPORT, SCHEMA, SPENT_KEY, WEATHER, case, done, expect, raises, structured


def client(key=KEY):
    return openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=key, max_retries=0, timeout=30)


def user(text):
    return [{"role": "user", "content": text}]


def refusals(ask):
    """Every way to be refused, as the SDK's own classes; `ask(client, model)` asks."""
    raises(openai.BadRequestError, 400, lambda: ask(client(), "nobody/hello"))
    raises(openai.AuthenticationError, 401, lambda: ask(client("mlx_sk_unknown"), "openai/hello"))
    spent = raises(openai.APIStatusError, 402, lambda: ask(client(SPENT_KEY), "openai/hello"))
    expect(spent.body["budget"]["name"], "spent")


def upstream_refusals(ask, provider):
    raises(openai.NotFoundError, 404, lambda: ask(client(), f"{provider}/missing"))
    raises(openai.RateLimitError, 429, lambda: ask(client(), f"{provider}/busy"))


class Chat:
    def __init__(self, provider):
        self.provider = provider
        self.completions = client().chat.completions
        self.tools = [{"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": PARAMETERS}}]

    def model(self, name):
        return f"{self.provider}/{name}"

    def plain(self):
        answer = self.completions.create(model=self.model("hello"), messages=user("Hello?"), max_tokens=50)
        expect(answer.choices[0].message.content, HELLO)
        expect(answer.choices[0].finish_reason, "stop")
        expect((answer.usage.prompt_tokens, answer.usage.completion_tokens), (20, 10))

    def stream(self):
        with self.completions.stream(model=self.model("hello"), messages=user("Hello?"), stream_options={"include_usage": True}) as stream:
            events = list(stream)
            answer = stream.get_final_completion()
        pieces = [event.delta for event in events if event.type == "content.delta"]
        assert len(pieces) > 2, pieces
        expect("".join(pieces), HELLO)
        expect(answer.choices[0].message.content, HELLO)
        usages = [event.chunk.usage for event in events if event.type == "chunk" and event.chunk.usage]
        expect([usage.completion_tokens for usage in usages], [10])

    def answered(self, message):
        calls = message.tool_calls
        expect([json.loads(call.function.arguments)["city"] for call in calls], CITIES)
        expect({call.function.name for call in calls}, {"get_weather"})
        results = [{"role": "tool", "tool_call_id": call.id, "content": WEATHER[json.loads(call.function.arguments)["city"]]} for call in calls]
        return user("The weather?") + [message.model_dump(exclude_none=True, exclude={"parsed"})] + results

    def tools_whole(self):
        ask = lambda turns: self.completions.create(model=self.model("weather"), messages=turns, tools=self.tools).choices[0]
        called = ask(user("The weather?"))
        expect(called.finish_reason, "tool_calls")
        expect(ask(self.answered(called.message)).message.content, REPORT)

    def tools_streamed(self):
        def ask(turns):
            with self.completions.stream(model=self.model("weather"), messages=turns, tools=self.tools) as stream:
                return stream.until_done().get_final_completion().choices[0]

        called = ask(user("The weather?"))
        expect(called.finish_reason, "tool_calls")
        message = called.message.model_dump(exclude_none=True)
        turns = self.answered(called.message)
        # What the SDK gathered has members of its own (`parsed_arguments`), which no interface takes.
        turns[1] = {"role": "assistant", "tool_calls": [
            {"id": call["id"], "type": "function", "function": {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}}
            for call in message["tool_calls"]
        ]}
        expect(ask(turns).message.content, REPORT)

    def structured(self):
        form = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": SCHEMA}}
        answer = self.completions.create(model=structured(self.provider), messages=user("As JSON?"), response_format=form)
        expect(json.loads(answer.choices[0].message.content), {"city": "Zürich", "degrees": 21})

    def errors(self):
        ask = lambda by, model: by.chat.completions.create(model=model, messages=user("Hello?"))
        refusals(ask)
        upstream_refusals(ask, self.provider)

    def disconnect(self):
        stream = self.completions.create(model=self.model("endless"), messages=user("Hello?"), stream=True)
        said = ""
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            if len(said) > 10:
                break
        stream.close()


class Responses:
    def __init__(self, provider):
        self.provider = provider
        self.responses = client().responses
        self.tools = [{"type": "function", "name": "get_weather", "description": "The weather.", "parameters": PARAMETERS, "strict": True}]

    def model(self, name):
        return f"{self.provider}/{name}"

    def plain(self):
        answer = self.responses.create(model=self.model("hello"), input="Hello?", max_output_tokens=50, store=False)
        expect(answer.output_text, HELLO)
        expect(answer.status, "completed")
        expect((answer.usage.input_tokens, answer.usage.output_tokens), (20, 10))

    def stream(self):
        with self.responses.stream(model=self.model("hello"), input="Hello?", store=False) as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            answer = stream.get_final_response()
        assert len(pieces) > 2, pieces
        expect("".join(pieces), HELLO)
        expect(answer.output_text, HELLO)
        expect(answer.usage.output_tokens, 10)

    def rounds(self, ask):
        called = ask([{"role": "user", "content": "The weather?"}])
        calls = [item for item in called.output if item.type == "function_call"]
        expect([json.loads(call.arguments)["city"] for call in calls], CITIES)
        turns = [{"role": "user", "content": "The weather?"}]
        for call in calls:
            turns.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
        for call in calls:
            turns.append({"type": "function_call_output", "call_id": call.call_id, "output": WEATHER[json.loads(call.arguments)["city"]]})
        expect(ask(turns).output_text, REPORT)

    def tools_whole(self):
        self.rounds(lambda turns: self.responses.create(model=self.model("weather"), input=turns, tools=self.tools, store=False))

    def tools_streamed(self):
        def ask(turns):
            with self.responses.stream(model=self.model("weather"), input=turns, tools=self.tools, store=False) as stream:
                return stream.until_done().get_final_response()

        self.rounds(ask)

    def structured(self):
        form = {"format": {"type": "json_schema", "name": "weather", "strict": True, "schema": SCHEMA}}
        answer = self.responses.create(model=structured(self.provider), input="As JSON?", text=form, store=False)
        expect(json.loads(answer.output_text), {"city": "Zürich", "degrees": 21})

    def errors(self):
        ask = lambda by, model: by.responses.create(model=model, input="Hello?", store=False)
        refusals(ask)
        upstream_refusals(ask, self.provider)

    def disconnect(self):
        stream = self.responses.create(model=self.model("endless"), input="Hello?", stream=True, store=False)
        said = ""
        for event in stream:
            if event.type == "response.output_text.delta":
                said += event.delta
            if len(said) > 10:
                break
        stream.close()


def embeddings(provider):
    for form in ["float", "base64", None]:
        more = {"encoding_format": form} if form else {}
        answer = client().embeddings.create(model=f"{provider}/embed", input=["a", "b"], **more)
        expect(len(answer.data), 2)
        if form != "base64":
            expect(answer.data[1].embedding, [0.5, -0.5, 0.25, 1.0])


def models():
    listed = {model.id for model in client().models.list()}
    assert "openai/hello" in listed, listed
    expect(client().models.retrieve("openai/hello").id, "openai/hello")


CASES = ["plain", "stream", "tools_whole", "tools_streamed", "structured", "errors", "disconnect"]
for surface, kind in [("chat completions", Chat), ("responses", Responses)]:
    for provider in PROVIDERS:
        for name in CASES:
            case(surface, provider, name, getattr(kind(provider), name))
for provider in ["openai", "google"]:
    case("embeddings", provider, "plain", lambda: embeddings(provider))
case("models", "", "plain", models)
done()
