// What a client saw, one line of JSON a case, for the test that started it.
//
// Each case runs whatever became of the one before; the process fails when any did, with the errors on its standard error.

import assert from 'node:assert/strict';

// Where and with which keys: given by the test as JSON. The budget of `spent_key` is spent.
export const { base_url: BASE_URL, key: KEY, spent_key: SPENT_KEY } = JSON.parse(process.argv[2]);

// The kinds of providers behind the worker, as their names in the manifest.
export const PROVIDERS = ['openai', 'anthropic', 'google'];
export const CASES = ['plain', 'stream', 'tools_whole', 'tools_streamed', 'structured', 'errors', 'disconnect'];
export const HELLO = 'Grüße from Zürich 🦀, said in pieces.';
export const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, degrees: { type: 'integer' } },
  required: ['city', 'degrees'],
  additionalProperties: false,
};
// What the tool takes.
export const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
export const CITIES = ['Zürich', 'São Paulo'];
// What the tool says, and what the model makes of it.
export const WEATHER = { Zürich: '21 degrees', 'São Paulo': '28 degrees' };
export const REPORT = 'Zürich: 21 degrees. São Paulo: 28 degrees.';

// The model that answers as a schema says; Anthropic's are known by their names.
export const structured = (provider) => (provider === 'anthropic' ? 'anthropic/claude-sonnet-4-5' : `${provider}/structured`);

export async function run(surface, provider, name, steps) {
  let found = 'ok';
  try {
    await steps();
  } catch (error) {
    found = `failed: ${error.constructor.name}`;
    process.exitCode = 1;
    console.error(`--- ${surface}, ${provider}, ${name}\n`, error);
  }
  console.log(JSON.stringify({ surface, provider, case: name, found }));
}

// The call fails with the SDK's own class of error, which knows the status and says something.
export async function rejects(kind, status, call) {
  const error = await call().then(() => assert.fail(`no ${kind.name}`), (error) => error);
  assert.equal(error.constructor.name, kind.name, error.stack);
  assert.equal(error.status, status);
  assert.ok(error.message, 'an error without words');
  return error;
}

export async function gathered(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}
