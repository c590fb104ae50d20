// A shop of Express' kind with connect-pg-simple: writes sessions, and prints their cookies and what is in them.
// node express_site.mjs PACKAGE_JSON POSTGRES_URL

import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2]);
const session = require("express-session");
const Store = require("connect-pg-simple")(session);

const store = new Store({ conString: process.argv[3], createTableIfMissing: true, pruneSessionInterval: false });
const sessions = session({
  store,
  secret: ["the newest secret", "keyboard cat"],
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 3_600_000 },
});

const server = createServer((request, response) => {
  sessions(request, response, async () => {
    let body = "";
    for await (const part of request) body += part;
    Object.assign(request.session, JSON.parse(body));
    response.end();
  });
});

async function written(data) {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: "POST", body: JSON.stringify(data) });
  const [, cookie] = /^connect\.sid=([^;]*)/.exec(answer.headers.getSetCookie()[0]);
  return { cookie, data, user: data.passport ? String(data.passport.user) : null };
}

server.listen(0, "127.0.0.1", async () => {
  const cart = { cart: ["tea", "milk"], note: "für Ada ☕" };
  const found = [await written(cart), await written({ ...cart, passport: { user: 1 } })];
  console.log(JSON.stringify(found));
  server.close();
  server.closeAllConnections();
  await store.close();
});
