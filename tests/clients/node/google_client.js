// The official Google Gen AI SDK for Node: generateContent, whole and streamed, and embeddings.

import assert from 'node:assert/strict';
import { ApiError, GoogleGenAI } from '@google/genai';
import { BASE_URL, CASES, CITIES, HELLO, KEY, PARAMETERS, PROVIDERS, REPORT, SCHEMA, SPENT_KEY, WEATHER, gathered, rejects, run, structured } from './report.js';

const client = (apiKey = KEY) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: BASE_URL, timeout: 30_000, retryOptions: { attempts: 1 } } });
const FUNCTION = { name: 'get_weather', description: 'The weather.', parametersJsonSchema: PARAMETERS };

class Generate {
  constructor(provider) {
    this.provider = provider;
    this.models = client().models;
  }

  asked(name, contents, config = {}) {
    return { model: name.includes('/') ? name : `${this.provider}/${name}`, contents, config };
  }

  async plain() {
    const answer = await this.models.generateContent(this.asked('hello', 'Hello?', { maxOutputTokens: 50, systemInstruction: 'Be brief.' }));
    assert.equal(answer.text, HELLO);
    assert.equal(answer.candidates[0].finishReason, 'STOP');
    assert.deepEqual([answer.usageMetadata.promptTokenCount, answer.usageMetadata.candidatesTokenCount], [20, 10]);
  }

  async stream() {
    const chunks = await gathered(await this.models.generateContentStream(this.asked('hello', 'Hello?')));
    const pieces = chunks.map((chunk) => chunk.text).filter(Boolean);
    assert.ok(pieces.length > 2, pieces);
    assert.equal(pieces.join(''), HELLO);
    assert.equal(chunks.at(-1).usageMetadata.candidatesTokenCount, 10);
  }

  async rounds(ask) {
    const question = { role: 'user', parts: [{ text: 'The weather?' }] };
    const called = (await ask([question])).filter((part) => part.functionCall);
    assert.deepEqual(called.map((part) => part.functionCall.args.city), CITIES);
    const results = called.map(({ functionCall: { id, name, args } }) => ({ functionResponse: { id, name, response: { output: WEATHER[args.city] } } }));
    const parts = await ask([question, { role: 'model', parts: called }, { role: 'user', parts: results }]);
    assert.equal(parts.map((part) => part.text ?? '').join(''), REPORT);
  }

  async tools_whole() {
    const ask = (turns) => this.models.generateContent(this.asked('weather', turns, { tools: [{ functionDeclarations: [FUNCTION] }] }));
    await this.rounds(async (turns) => (await ask(turns)).candidates[0].content.parts);
  }

  async tools_streamed() {
    const ask = (turns) => this.models.generateContentStream(this.asked('weather', turns, { tools: [{ functionDeclarations: [FUNCTION] }] }));
    await this.rounds(async (turns) => (await gathered(await ask(turns))).flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []));
  }

  async structured() {
    const config = { responseMimeType: 'application/json', responseJsonSchema: SCHEMA };
    const answer = await this.models.generateContent(this.asked(structured(this.provider), 'As JSON?', config));
    assert.deepEqual(JSON.parse(answer.text), { city: 'Zürich', degrees: 21 });
  }

  async errors() {
    const ask = (by, model) => by.models.generateContent({ model, contents: 'Hello?' });
    await rejects(ApiError, 400, () => ask(client(), 'nobody/hello'));
    await rejects(ApiError, 401, () => ask(client('mlx_sk_unknown'), 'google/hello'));
    await rejects(ApiError, 402, () => ask(client(SPENT_KEY), 'google/hello'));
    await rejects(ApiError, 404, () => ask(client(), `${this.provider}/missing`));
    const busy = await rejects(ApiError, 429, () => ask(client(), `${this.provider}/busy`));
    assert.ok(busy.message.includes('RESOURCE_EXHAUSTED'), busy.message);
  }

  async disconnect() {
    const abort = new AbortController();
    const stream = await this.models.generateContentStream(this.asked('endless', 'Hello?', { abortSignal: abort.signal }));
    let said = '';
    for await (const chunk of stream) {
      said += chunk.text ?? '';
      if (said.length > 10) break;
    }
    abort.abort();
    assert.ok(said.length > 10, said);
  }
}

async function embeddings(provider) {
  const answer = await client().models.embedContent({ model: `${provider}/embed`, contents: ['a', 'b'] });
  assert.deepEqual(answer.embeddings.map((embedding) => embedding.values), [[0.5, -0.5, 0.25, 1], [0.5, -0.5, 0.25, 1]]);
}

for (const provider of PROVIDERS) {
  for (const name of CASES) await run('generateContent', provider, name, () => new Generate(provider)[name]());
}
for (const provider of ['google', 'openai']) await run('embedContent', provider, 'plain', () => embeddings(provider));
