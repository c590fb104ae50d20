// Passkeys: the buttons marked data-passkey="sign-in" and data-passkey="register" (WebAuthn Level 3).

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const described = (credentials = []) => credentials.map((one) => ({ ...one, id: decode(one.id) }));

// The server forgets a challenge after ten minutes.
const OFFER_LASTS = 8 * 60_000;
const RENEWED = new Error("renewed");

// The server's own words for the person at the screen.
class RefusedError extends Error {
  constructor({ error, message, unknown }) {
    super(message);
    this.code = error;
    this.isUnknown = unknown === true;
  }
}

// Somebody may sign in or out in another tab while this one stays open: its token is of no use then.
async function renewToken(button) {
  const answer = await fetch(`${button.dataset.prefix}/csrf`, { credentials: "same-origin" });
  button.dataset.csrf = (await answer.json()).csrf_token;
}

async function post(button, path, body, { renews = true } = {}) {
  const response = await fetch(`${button.dataset.prefix}/passkeys/${path}`, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": button.dataset.csrf },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (answer.error === "stale" && renews) {
    await renewToken(button);
    return post(button, path, body, { renews: false });
  }
  if (!response.ok) throw new RefusedError(answer);
  return answer;
}

function answerOf(credential) {
  const { response } = credential;
  const answer = { clientDataJSON: encode(response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[part]) answer[part] = encode(response[part]);
  }
  if (response.getTransports) answer.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: answer,
  };
}

// Ends the offer in the e-mail field: of two requests at once a browser refuses the second.
let offer = new AbortController();

// The browser stops offering what was removed here (WebAuthn Level 3 §5.1.10); not every one can, and none must.
const forget = (unknown) => PublicKeyCredential.signalUnknownCredential?.(unknown).catch(() => {});
const keepOnly = (accepted) => PublicKeyCredential.signalAllAcceptedCredentials?.(accepted).catch(() => {});

async function signIn(button, more = {}) {
  const options = await post(button, "sign-in/options", {});
  const publicKey = {
    ...options,
    challenge: decode(options.challenge),
    allowCredentials: described(options.allowCredentials),
  };
  const credential = await navigator.credentials.get({ publicKey, ...more });
  const answer = { credential: answerOf(credential), next: button.dataset.next };
  const signedIn = await post(button, "sign-in", answer).catch((error) => {
    if (error.isUnknown) forget({ rpId: options.rpId, credentialId: credential.id });
    throw error;
  });
  location.assign(signedIn.next);
}

// Browsers offer passkeys among the addresses they fill in, where a field says so (WebAuthn Level 3 §5.1.4).
async function signInFromField(button) {
  const field = document.querySelector("input[autocomplete~=webauthn]");
  if (!field || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  offer = new AbortController();
  const renewal = setTimeout(() => offer.abort(RENEWED), OFFER_LASTS);
  try {
    await signIn(button, { mediation: "conditional", signal: offer.signal });
  } catch (error) {
    if (error instanceof RefusedError && !["csrf", "stale", "too_many"].includes(error.code)) show(error);
    if (error === RENEWED) whenVisible(() => signInFromField(button));
  } finally {
    clearTimeout(renewal);
  }
}

function whenVisible(work) {
  if (!document.hidden) return work();
  document.addEventListener("visibilitychange", () => whenVisible(work), { once: true });
}

// Where to come back to after confirming who one is, and go on by itself.
const ADD = "#add-passkey";

async function register(button) {
  const { prefix } = button.dataset;
  const options = await post(button, "register/options", {}).catch((error) => {
    if (error.code !== "fresh") throw error;
    location.assign(`${prefix}/confirm?next=${encodeURIComponent(`${prefix}/sessions${ADD}`)}`);
    return null;
  });
  if (!options) return;
  const publicKey = {
    ...options,
    challenge: decode(options.challenge),
    user: { ...options.user, id: decode(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const credential = await navigator.credentials.create({ publicKey });
  await post(button, "register", { credential: answerOf(credential) });
  location.replace(`${prefix}/sessions`);
}

function reasonOf(error, { cancelled, exists, failed }) {
  if (error instanceof RefusedError) return error.message;
  if (error.name === "NotAllowedError" || error.name === "AbortError") return cancelled;
  return error.name === "InvalidStateError" ? exists : failed;
}

function show(error) {
  const status = document.querySelector("[data-passkey-status]");
  status.hidden = !error;
  if (!error) return;
  status.textContent = reasonOf(error, status.dataset);
  status.scrollIntoView({ block: "nearest" });
}

async function run(ceremony, button) {
  show(null);
  offer.abort();
  button.setAttribute("aria-busy", "true");
  try {
    await ceremony(button);
  } catch (error) {
    show(error);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

const CEREMONIES = { "sign-in": signIn, register };

if (window.PublicKeyCredential) {
  const known = document.querySelector("[data-passkeys-accepted]");
  if (known) keepOnly(JSON.parse(known.dataset.passkeysAccepted));
  for (const button of document.querySelectorAll("[data-passkey]")) {
    const ceremony = CEREMONIES[button.dataset.passkey];
    button.addEventListener("click", () => button.hasAttribute("aria-busy") || run(ceremony, button));
    button.hidden = false;
    if (ceremony === signIn) signInFromField(button);
    if (ceremony === register && location.hash === ADD) {
      history.replaceState(null, "", location.pathname);
      run(ceremony, button);
    }
  }
}
