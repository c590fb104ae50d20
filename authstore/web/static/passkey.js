// Passkeys: the buttons marked data-passkey="sign-in" and data-passkey="register" (WebAuthn Level 3).

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const described = (credentials = []) => credentials.map((one) => ({ ...one, id: decode(one.id) }));

// The server's own words for the person at the screen.
class RefusedError extends Error {}

async function post(button, path, body) {
  const response = await fetch(`${button.dataset.prefix}/passkeys/${path}`, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": button.dataset.csrf },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new RefusedError(answer.message);
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

async function signIn(button) {
  const options = await post(button, "sign-in/options", {});
  const publicKey = {
    ...options,
    challenge: decode(options.challenge),
    allowCredentials: described(options.allowCredentials),
  };
  const credential = await navigator.credentials.get({ publicKey });
  const signedIn = await post(button, "sign-in", { credential: answerOf(credential), next: button.dataset.next });
  location.assign(signedIn.next);
}

async function register(button) {
  const options = await post(button, "register/options", {});
  const publicKey = {
    ...options,
    challenge: decode(options.challenge),
    user: { ...options.user, id: decode(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const credential = await navigator.credentials.create({ publicKey });
  await post(button, "register", { credential: answerOf(credential) });
  location.reload();
}

function reasonOf(error, { cancelled, exists, failed }) {
  if (error instanceof RefusedError) return error.message;
  if (error.name === "NotAllowedError" || error.name === "AbortError") return cancelled;
  return error.name === "InvalidStateError" ? exists : failed;
}

async function run(ceremony, button) {
  const status = document.querySelector("[data-passkey-status]");
  status.hidden = true;
  button.setAttribute("aria-busy", "true");
  try {
    await ceremony(button);
  } catch (error) {
    status.textContent = reasonOf(error, status.dataset);
    status.hidden = false;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

const CEREMONIES = { "sign-in": signIn, register };

if (window.PublicKeyCredential) {
  for (const button of document.querySelectorAll("[data-passkey]")) {
    const ceremony = CEREMONIES[button.dataset.passkey];
    button.addEventListener("click", () => button.hasAttribute("aria-busy") || run(ceremony, button));
    button.hidden = false;
  }
}
