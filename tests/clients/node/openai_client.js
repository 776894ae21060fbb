// The official OpenAI SDK for Node: chat completions, responses, embeddings, models.

import assert from 'node:assert/strict';
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { BASE_URL, CASES, CITIES, HELLO, KEY, PARAMETERS, PROVIDERS, REPORT, SCHEMA, SPENT_KEY, WEATHER, gathered, rejects, run, structured } from './report.js';

const client = (apiKey = KEY) => new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
const user = (content) => [{ role: 'user', content }];

async function refusals(ask, provider) {
  await rejects(BadRequestError, 400, () => ask(client(), 'nobody/hello'));
  await rejects(AuthenticationError, 401, () => ask(client('mlx_sk_unknown'), 'openai/hello'));
  const spent = await rejects(APIError, 402, () => ask(client(SPENT_KEY), 'openai/hello'));
  assert.equal(spent.error.budget.name, 'spent');
  await rejects(NotFoundError, 404, () => ask(client(), `${provider}/missing`));
  await rejects(RateLimitError, 429, () => ask(client(), `${provider}/busy`));
}

class Chat {
  constructor(provider) {
    this.provider = provider;
    this.completions = client().chat.completions;
    this.tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather.', parameters: PARAMETERS } }];
  }

  model(name) {
    return `${this.provider}/${name}`;
  }

  async plain() {
    const answer = await this.completions.create({ model: this.model('hello'), messages: user('Hello?'), max_tokens: 50 });
    assert.equal(answer.choices[0].message.content, HELLO);
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [20, 10]);
  }

  async stream() {
    const options = { model: this.model('hello'), messages: user('Hello?'), stream_options: { include_usage: true } };
    const stream = this.completions.stream(options);
    const pieces = [];
    stream.on('content', (piece) => pieces.push(piece));
    const answer = await stream.finalChatCompletion();
    assert.ok(pieces.length > 2, pieces);
    assert.equal(pieces.join(''), HELLO);
    assert.equal(answer.choices[0].message.content, HELLO);
    assert.equal(answer.usage.completion_tokens, 10);
  }

  async rounds(ask) {
    const called = await ask(user('The weather?'));
    assert.equal(called.finish_reason, 'tool_calls');
    const calls = called.message.tool_calls.map(({ id, function: { name, arguments: text } }) => ({ id, type: 'function', function: { name, arguments: text } }));
    const cities = calls.map((call) => JSON.parse(call.function.arguments).city);
    assert.deepEqual(cities, CITIES);
    const results = calls.map((call, index) => ({ role: 'tool', tool_call_id: call.id, content: WEATHER[cities[index]] }));
    const turns = [...user('The weather?'), { role: 'assistant', tool_calls: calls }, ...results];
    assert.equal((await ask(turns)).message.content, REPORT);
  }

  async tools_whole() {
    await this.rounds(async (messages) => (await this.completions.create({ model: this.model('weather'), messages, tools: this.tools })).choices[0]);
  }

  async tools_streamed() {
    const ask = (messages) => this.completions.stream({ model: this.model('weather'), messages, tools: this.tools }).finalChatCompletion();
    await this.rounds(async (messages) => (await ask(messages)).choices[0]);
  }

  async structured() {
    const response_format = { type: 'json_schema', json_schema: { name: 'weather', strict: true, schema: SCHEMA } };
    const answer = await this.completions.parse({ model: structured(this.provider), messages: user('As JSON?'), response_format });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: 'Zürich', degrees: 21 });
  }

  async errors() {
    await refusals((by, model) => by.chat.completions.create({ model, messages: user('Hello?') }), this.provider);
  }

  async disconnect() {
    const stream = await this.completions.create({ model: this.model('endless'), messages: user('Hello?'), stream: true });
    let said = '';
    for await (const chunk of stream) {
      said += chunk.choices[0]?.delta.content ?? '';
      if (said.length > 10) break;
    }
    assert.ok(said.length > 10, said);
  }
}

class Responses {
  constructor(provider) {
    this.provider = provider;
    this.responses = client().responses;
    this.tools = [{ type: 'function', name: 'get_weather', description: 'The weather.', parameters: PARAMETERS, strict: true }];
  }

  asked(name, input, more = {}) {
    return { model: name.includes('/') ? name : `${this.provider}/${name}`, input, store: false, ...more };
  }

  async plain() {
    const answer = await this.responses.create(this.asked('hello', 'Hello?', { max_output_tokens: 50 }));
    assert.equal(answer.output_text, HELLO);
    assert.equal(answer.status, 'completed');
    assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [20, 10]);
  }

  async stream() {
    const stream = this.responses.stream(this.asked('hello', 'Hello?'));
    const pieces = [];
    stream.on('response.output_text.delta', (event) => pieces.push(event.delta));
    const answer = await stream.finalResponse();
    assert.ok(pieces.length > 2, pieces);
    assert.equal(pieces.join(''), HELLO);
    assert.equal(answer.output_text, HELLO);
    assert.equal(answer.usage.output_tokens, 10);
  }

  async rounds(ask) {
    const question = { role: 'user', content: 'The weather?' };
    const called = await ask([question]);
    const calls = called.output.filter((item) => item.type === 'function_call');
    const cities = calls.map((call) => JSON.parse(call.arguments).city);
    assert.deepEqual(cities, CITIES);
    const said = calls.map(({ type, call_id, name, arguments: text }) => ({ type, call_id, name, arguments: text }));
    const results = calls.map(({ call_id }, index) => ({ type: 'function_call_output', call_id, output: WEATHER[cities[index]] }));
    assert.equal((await ask([question, ...said, ...results])).output_text, REPORT);
  }

  async tools_whole() {
    await this.rounds((turns) => this.responses.create(this.asked('weather', turns, { tools: this.tools })));
  }

  async tools_streamed() {
    await this.rounds((turns) => this.responses.stream(this.asked('weather', turns, { tools: this.tools })).finalResponse());
  }

  async structured() {
    const text = { format: { type: 'json_schema', name: 'weather', strict: true, schema: SCHEMA } };
    const answer = await this.responses.create(this.asked(structured(this.provider), 'As JSON?', { text }));
    assert.deepEqual(JSON.parse(answer.output_text), { city: 'Zürich', degrees: 21 });
  }

  async errors() {
    await refusals((by, model) => by.responses.create({ model, input: 'Hello?', store: false }), this.provider);
  }

  async disconnect() {
    const stream = await this.responses.create(this.asked('endless', 'Hello?', { stream: true }));
    let said = '';
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') said += event.delta;
      if (said.length > 10) break;
    }
    assert.ok(said.length > 10, said);
  }
}

async function embeddings(provider) {
  // Without a format the SDK asks for base64 and takes it apart.
  for (const more of [{}, { encoding_format: 'float' }]) {
    const answer = await client().embeddings.create({ model: `${provider}/embed`, input: ['a', 'b'], ...more });
    assert.deepEqual(answer.data.map((row) => Array.from(row.embedding)), [[0.5, -0.5, 0.25, 1], [0.5, -0.5, 0.25, 1]]);
  }
}

async function models() {
  const listed = (await gathered(client().models.list())).map((model) => model.id);
  assert.ok(listed.includes('openai/hello'), listed.join());
  assert.equal((await client().models.retrieve('openai/hello')).id, 'openai/hello');
}

for (const [surface, Kind] of [['chat completions', Chat], ['responses', Responses]]) {
  for (const provider of PROVIDERS) {
    for (const name of CASES) await run(surface, provider, name, () => new Kind(provider)[name]());
  }
}
for (const provider of ['openai', 'google']) await run('embeddings', provider, 'plain', () => embeddings(provider));
await run('models', '', 'plain', models);
