// The official Anthropic SDK for Node: messages.

import assert from 'node:assert/strict';
import Anthropic, { AuthenticationError, BadRequestError, NotFoundError, PaymentRequiredError, RateLimitError } from '@anthropic-ai/sdk';
import { BASE_URL, CASES, CITIES, HELLO, KEY, PARAMETERS, PROVIDERS, REPORT, SCHEMA, SPENT_KEY, WEATHER, rejects, run, structured } from './report.js';

const client = (apiKey = KEY) => new Anthropic({ baseURL: BASE_URL, apiKey, maxRetries: 0, timeout: 30_000 });
const user = (content) => [{ role: 'user', content }];
const TOOLS = [{ name: 'get_weather', description: 'The weather.', input_schema: PARAMETERS }];

class Messages {
  constructor(provider) {
    this.provider = provider;
    this.messages = client().messages;
  }

  asked(name, messages, more = {}) {
    return { model: name.includes('/') ? name : `${this.provider}/${name}`, max_tokens: 50, messages, ...more };
  }

  async plain() {
    const answer = await this.messages.create(this.asked('hello', user('Hello?'), { system: 'Be brief.' }));
    assert.equal(answer.content[0].text, HELLO);
    assert.equal(answer.stop_reason, 'end_turn');
    assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [20, 10]);
  }

  async stream() {
    const stream = this.messages.stream(this.asked('hello', user('Hello?')));
    const pieces = [];
    stream.on('text', (piece) => pieces.push(piece));
    const answer = await stream.finalMessage();
    assert.ok(pieces.length > 2, pieces);
    assert.equal(pieces.join(''), HELLO);
    assert.equal(answer.content[0].text, HELLO);
    assert.deepEqual([answer.stop_reason, answer.usage.output_tokens], ['end_turn', 10]);
  }

  async rounds(ask) {
    const called = await ask(user('The weather?'));
    assert.equal(called.stop_reason, 'tool_use');
    const calls = called.content.filter((block) => block.type === 'tool_use');
    assert.deepEqual(calls.map((call) => call.input.city), CITIES);
    const said = calls.map(({ type, id, name, input }) => ({ type, id, name, input }));
    const results = calls.map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: WEATHER[input.city] }));
    const turns = [...user('The weather?'), { role: 'assistant', content: said }, { role: 'user', content: results }];
    assert.equal((await ask(turns)).content[0].text, REPORT);
  }

  async tools_whole() {
    await this.rounds((turns) => this.messages.create(this.asked('weather', turns, { tools: TOOLS })));
  }

  async tools_streamed() {
    await this.rounds((turns) => this.messages.stream(this.asked('weather', turns, { tools: TOOLS })).finalMessage());
  }

  async structured() {
    const output_config = { format: { type: 'json_schema', schema: SCHEMA } };
    const answer = await this.messages.create(this.asked(structured(this.provider), user('As JSON?'), { output_config }));
    assert.deepEqual(JSON.parse(answer.content[0].text), { city: 'Zürich', degrees: 21 });
  }

  async errors() {
    const ask = (by, model) => by.messages.create({ model, max_tokens: 50, messages: user('Hello?') });
    await rejects(BadRequestError, 400, () => ask(client(), 'nobody/hello'));
    await rejects(AuthenticationError, 401, () => ask(client('mlx_sk_unknown'), 'anthropic/hello'));
    const spent = await rejects(PaymentRequiredError, 402, () => ask(client(SPENT_KEY), 'anthropic/hello'));
    assert.equal(spent.error.type, 'error');
    await rejects(NotFoundError, 404, () => ask(client(), `${this.provider}/missing`));
    await rejects(RateLimitError, 429, () => ask(client(), `${this.provider}/busy`));
  }

  async disconnect() {
    const stream = await this.messages.create(this.asked('endless', user('Hello?'), { stream: true }));
    let said = '';
    for await (const event of stream) {
      if (event.type === 'content_block_delta') said += event.delta.text;
      if (said.length > 10) break;
    }
    assert.ok(said.length > 10, said);
  }
}

for (const provider of PROVIDERS) {
  for (const name of CASES) await run('messages', provider, name, () => new Messages(provider)[name]());
}
