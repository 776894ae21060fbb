"""The official Anthropic SDK for Python: messages."""

import json

import anthropic
from report import BASE_URL, CITIES, HELLO, KEY, PARAMETERS, PROVIDERS, REPORT, SCHEMA, SPENT_KEY, WEATHER, case, done, expect, raises, structured

TOOLS = [{"name": "get_weather", "description": "The weather.", "input_schema": PARAMETERS}]


def client(key=KEY):
    return anthropic.Anthropic(base_url=BASE_URL, api_key=key, max_retries=0, timeout=30)


def user(text):
    return [{"role": "user", "content": text}]


class Messages:
    def __init__(self, provider):
        self.provider = provider
        self.messages = client().messages

    def model(self, name):
        return f"{self.provider}/{name}"

    def plain(self):
        answer = self.messages.create(model=self.model("hello"), max_tokens=50, system="Be brief.", messages=user("Hello?"))
        expect(answer.content[0].text, HELLO)
        expect(answer.stop_reason, "end_turn")
        expect((answer.usage.input_tokens, answer.usage.output_tokens), (20, 10))

    def stream(self):
        with self.messages.stream(model=self.model("hello"), max_tokens=50, messages=user("Hello?")) as stream:
            pieces = list(stream.text_stream)
            answer = stream.get_final_message()
        assert len(pieces) > 2, pieces
        expect("".join(pieces), HELLO)
        expect(answer.content[0].text, HELLO)
        expect((answer.stop_reason, answer.usage.output_tokens), ("end_turn", 10))

    def rounds(self, ask):
        called = ask(user("The weather?"))
        expect(called.stop_reason, "tool_use")
        calls = [block for block in called.content if block.type == "tool_use"]
        expect([call.input["city"] for call in calls], CITIES)
        said = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": WEATHER[call.input["city"]]} for call in calls]
        turns = user("The weather?") + [{"role": "assistant", "content": said}, {"role": "user", "content": results}]
        expect(ask(turns).content[0].text, REPORT)

    def tools_whole(self):
        self.rounds(lambda turns: self.messages.create(model=self.model("weather"), max_tokens=50, messages=turns, tools=TOOLS))

    def tools_streamed(self):
        def ask(turns):
            with self.messages.stream(model=self.model("weather"), max_tokens=50, messages=turns, tools=TOOLS) as stream:
                return stream.get_final_message()

        self.rounds(ask)

    def structured(self):
        form = {"format": {"type": "json_schema", "schema": SCHEMA}}
        answer = self.messages.create(model=structured(self.provider), max_tokens=50, messages=user("As JSON?"), extra_body={"output_config": form})
        expect(json.loads(answer.content[0].text), {"city": "Zürich", "degrees": 21})

    def errors(self):
        ask = lambda by, model: by.messages.create(model=model, max_tokens=50, messages=user("Hello?"))
        raises(anthropic.BadRequestError, 400, lambda: ask(client(), "nobody/hello"))
        raises(anthropic.AuthenticationError, 401, lambda: ask(client("mlx_sk_unknown"), "anthropic/hello"))
        spent = raises(anthropic.PaymentRequiredError, 402, lambda: ask(client(SPENT_KEY), "anthropic/hello"))
        expect(spent.body["type"], "error")
        raises(anthropic.NotFoundError, 404, lambda: ask(client(), self.model("missing")))
        raises(anthropic.RateLimitError, 429, lambda: ask(client(), self.model("busy")))

    def disconnect(self):
        with self.messages.stream(model=self.model("endless"), max_tokens=50, messages=user("Hello?")) as stream:
            said = ""
            for piece in stream.text_stream:
                said += piece
                if len(said) > 10:
                    break


CASES = ["plain", "stream", "tools_whole", "tools_streamed", "structured", "errors", "disconnect"]
for provider in PROVIDERS:
    for name in CASES:
        case("messages", provider, name, getattr(Messages(provider), name))
done()
