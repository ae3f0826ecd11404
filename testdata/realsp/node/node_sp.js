// A service provider on node-saml, which passport-saml is made of, for the tests
// in idp/idptest/realsp.
//
//   node node_sp.js CONFIG.json
//
// One process is several service providers, told apart by the Host header.
// CONFIG.json: {"port": 1, "idp_metadata": "FILE", "providers": {"HOST": {"key": "FILE",
//   "cert": "FILE", "binding": "redirect" | "post", "encrypted": true, "context": ["CLASSREF", ...]}}}
//
// /saml/metadata       its EntityDescriptor, made by node-saml
// /secret/...          needs a sign-in; ?force or ?passive are passed on in the AuthnRequest
// /saml/acs            Assertion Consumer Service; validates and shows what is wrong
// /log-out             ends the session here and asks the identity provider to end its own
// /saml/logged-out     takes the LogoutResponse; validates and shows what is wrong

'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const { SAML } = require('@node-saml/node-saml');

const CONTEXT = ['urn:acr.login.gov:auth-only', 'http://idmanagement.gov/ns/assurance/aal/2',
  'http://idmanagement.gov/ns/requested_attributes?ReqAttr=email'];

const escape = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// node-saml reads no metadata of identity providers.
function read(file) {
  const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  const at = (element) => (text.match(new RegExp(`${element}[^>]*HTTP-Redirect[^>]*Location="([^"]*)"`)) || [])[1];
  return {
    entryPoint: at('SingleSignOnService'), logoutUrl: at('SingleLogoutService'),
    idpIssuer: (text.match(/entityID="([^"]*)"/) || [])[1],
    idpCert: (text.match(/X509Certificate>([^<]*)</) || [, 'none'])[1],
  };
}

class Provider {
  constructor(host, port, idp, options) {
    this.base = `http://${host}:${port}`;
    this.options = options;
    this.idp = idp;
    this.sessions = new Map(); // cookie => the profile, as node-saml has it
    this.sent = new Map(); // AuthnRequest ID => time; shared by all that follow
    this.cert = fs.readFileSync(options.cert, 'utf8');
  }

  saml(more) {
    const sent = this.sent;
    const key = fs.readFileSync(this.options.key, 'utf8');
    return new SAML({
      issuer: `${this.base}/sp`, callbackUrl: `${this.base}/saml/acs`, logoutCallbackUrl: `${this.base}/saml/logged-out`,
      ...read(this.idp),
      privateKey: key, publicCert: this.cert, signatureAlgorithm: 'sha256', digestAlgorithm: 'sha256',
      ...(this.options.encrypted ? { decryptionPvk: key } : {}),
      identifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      authnContext: this.options.context || CONTEXT, validateInResponseTo: 'always',
      authnRequestBinding: this.options.binding === 'post' ? 'HTTP-POST' : 'HTTP-Redirect',
      cacheProvider: {
        async saveAsync(id, value) { sent.set(id, value); return { value, createdAt: Date.now() }; },
        async getAsync(id) { return sent.get(id) || null; },
        async removeAsync(id) { return sent.delete(id) ? id : null; },
      },
      ...more,
    });
  }

  async serve(req, res, body) {
    const { pathname, searchParams: query } = new URL(req.url, this.base);
    if (pathname === '/saml/metadata') {
      const cert = this.cert;
      return answer(res, 200, 'application/samlmetadata+xml', this.saml().generateServiceProviderMetadata(this.options.encrypted ? cert : null, cert));
    }
    if (pathname === '/saml/acs') return this.consume(res, body);
    if (pathname === '/saml/logged-out') {
      // With 'always' node-saml misses the InResponseTo, which it looks for in Responses alone.
      const { loggedOut } = await this.saml({ validateInResponseTo: 'ifPresent' }).validatePostResponseAsync(body);
      if (!loggedOut) throw new Error('not a LogoutResponse');
      return page(res, 200, "<p id='signed-out'>Signed out everywhere</p>");
    }
    const cookie = ((req.headers.cookie || '').match(/node-sp=([0-9a-f]+)/) || [])[1];
    if (pathname === '/log-out') {
      const profile = this.sessions.get(cookie);
      this.sessions.delete(cookie);
      return redirect(res, await this.saml().getLogoutUrlAsync(profile, '', {}));
    }
    if (!pathname.startsWith('/secret/')) return page(res, 404, 'Not found');
    const profile = this.sessions.get(cookie);
    if (profile && !query.has('force')) return this.show(res, profile);
    const saml = this.saml({ forceAuthn: query.has('force'), passive: query.has('passive') });
    const back = query.has('force') ? pathname : req.url;
    if (this.options.binding === 'post') return answer(res, 200, 'text/html; charset=utf-8', await saml.getAuthorizeFormAsync(back));
    return redirect(res, await saml.getAuthorizeUrlAsync(back, undefined, {}));
  }

  async consume(res, body) {
    const { profile } = await this.saml().validatePostResponseAsync(body);
    if (!profile) throw new Error('NoPassive'); // all that node-saml says of it
    const cookie = crypto.randomBytes(16).toString('hex');
    this.sessions.set(cookie, profile);
    redirect(res, this.base + body.RelayState, `node-sp=${cookie}; Path=/; HttpOnly; SameSite=Lax`);
  }

  show(res, profile) {
    const said = {
      'name-id': profile.nameID, 'name-id-format': profile.nameIDFormat, 'session-index': profile.sessionIndex,
      'authn-context': profile.getAssertion().Assertion.AuthnStatement[0].AuthnContext[0].AuthnContextClassRef[0]._,
    };
    for (const [name, value] of Object.entries(profile.attributes)) said[`attribute-${name}`] = value;
    page(res, 200, `<dl>${Object.entries(said).map(([k, v]) => `<dt>${k}</dt><dd id='${k}'>${escape(v)}</dd>`).join('')}</dl>`);
  }
}

function answer(res, status, kind, body) {
  res.writeHead(status, { 'Content-Type': kind, 'Cache-Control': 'no-store' }).end(body);
}

function page(res, status, body) {
  answer(res, status, 'text/html; charset=utf-8', `<!DOCTYPE html><html lang='en'><title>Node</title><main>${body}</main></html>`);
}

function redirect(res, to, cookie) {
  res.writeHead(303, { Location: to, ...(cookie ? { 'Set-Cookie': cookie } : {}) }).end();
}

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const providers = Object.fromEntries(Object.entries(config.providers).map(
  ([host, options]) => [host, new Provider(host, config.port, config.idp_metadata, options)]));

http.createServer(async (req, res) => {
  try {
    let body = '';
    for await (const part of req) body += part;
    await providers[req.headers.host.split(':')[0]].serve(req, res, Object.fromEntries(new URLSearchParams(body)));
  } catch (e) {
    page(res, 403, `<p id='refused'>${escape(e.message)}</p>`);
  }
}).listen(config.port, '127.0.0.1');
