// A certified OpenID provider for the tests. Each line on standard input is an order, answered by a line on standard
// output; it ends with its standard input, so it outlives no test, however that one ends.
//
// Orders: {"configuration": {…}} takes the place of the provider (what it stored stays), {"seconds": 1764…} stops its
// clock there (null: real time), {"away": true} hangs up until {"away": false}, {"failing": ["/path"]} answers these with
// 503, {"requests": true} tells what was asked.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const RealDate = Date;
let stoppedAt = null; // milliseconds since 1970

globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [Date.now()]));
  }

  static now() {
    return stoppedAt ?? RealDate.now();
  }
};

for (const name of ['log', 'info', 'warn']) console[name] = console.error; // standard output is for answers

const packages = createRequire(pathToFileURL(process.argv[2]));
const load = (name) => import(pathToFileURL(packages.resolve(name)));
const { default: Provider } = await load('oidc-provider');
const { default: MemoryAdapter } = await load('oidc-provider/lib/adapters/memory_adapter.js');

class Kept extends MemoryAdapter {} // one store for all providers of this process

const requests = [];
const fail = (_request, response) => response.writeHead(503).end();
let answer = fail;
let failing = [];
const server = createServer((request, response) => {
  const path = request.url.split('?')[0];
  requests.push(`${request.method} ${path}`);
  (failing.includes(path) ? fail : answer)(request, response);
});

function built({ people, accessTokenSeconds, rotatesRefreshTokens, furtherAudiences, ...more }) {
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    ...more,
    adapter: Kept,
    cookies: { keys: ['signs the cookies of the tests'] },
    // Its guard against addresses of this machine would stop its letters to the site under test.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    rotateRefreshToken: () => rotatesRefreshTokens,
    ttl: {
      AccessToken: (_context, _token, client) => accessTokenSeconds[client.clientId] ?? 3600,
      Grant: 86400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86400,
      Session: 86400,
    },
  });
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'userinfo.error', 'end_session.error',
    'pushed_authorization_request.error', 'backchannel.error']) {
    provider.on(event, (_context, error) => console.error(event, error.message, error.error_detail ?? '', error.error_description ?? ''));
  }
  if (furtherAudiences) widen(provider.IdToken.prototype, furtherAudiences);
  return provider.callback();
}

// As providers do that know projects: `aud` names them beside the client, and `azp` says whose token it is.
function widen(tokens, audiences) {
  const { issue } = tokens;
  tokens.issue = function issueWider(options) {
    const client = this.client;
    this.set('azp', client.clientId);
    this.client = Object.create(client, { clientId: { value: [client.clientId, ...audiences] } });
    return issue.call(this, options);
  };
}

const listen = (port) => new Promise((done) => server.listen(port, '127.0.0.1', done));
const hangUp = () => new Promise((done) => { server.close(done); server.closeAllConnections(); });

async function obey(order) {
  if ('seconds' in order) stoppedAt = order.seconds === null ? null : order.seconds * 1000;
  if (order.failing) failing = order.failing;
  if (order.configuration) answer = built(order.configuration);
  if (order.away === true) await hangUp();
  if (order.away === false) await listen(port);
  return { port, requests: order.requests ? requests.splice(0) : undefined };
}

await listen(0);
const { port } = server.address();
for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = await obey(JSON.parse(line));
  } catch (error) {
    said = { error: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
process.exit(0);
