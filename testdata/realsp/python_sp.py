# A service provider on python3-saml (OneLogin's toolkit) in strict mode, for the
# tests in idp/idptest/realsp.
#
#   python3 python_sp.py CONFIG.json
#
# CONFIG.json: {"port": 1, "idp_metadata": "FILE", "host": "HOST", "key": PEM,
#   "cert": PEM, "context": ["CLASSREF", ...]}
#
# /saml/metadata       its EntityDescriptor, made by python3-saml
# /secret/...          needs a sign-in
# /saml/acs            Assertion Consumer Service; validates strictly and shows what is wrong

import html
import json
import secrets
import sys
from http import cookies
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"


def pem_body(pem):
    return "".join(line for line in pem.splitlines() if "-----" not in line)


class Provider:
    def __init__(self, config):
        self.config = config
        self.base = "http://%s:%d" % (config["host"], config["port"])
        self.sent = {}  # AuthnRequest ID -> path that was asked for
        self.sessions = {}  # cookie -> what the assertion said

    def settings(self, with_idp=True):
        c = self.config
        s = {
            "strict": True,
            "sp": {
                "entityId": self.base + "/sp",
                "assertionConsumerService": {
                    "url": self.base + "/saml/acs",
                    "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
                },
                "NameIDFormat": PERSISTENT,
                "x509cert": pem_body(c["cert"]),
                "privateKey": pem_body(c["key"]),
            },
            "security": {
                "authnRequestsSigned": True,
                "wantMessagesSigned": True,
                "wantAssertionsSigned": True,
                "wantAssertionsEncrypted": True,
                "wantNameId": True,
                "wantAttributeStatement": True,
                "rejectDeprecatedAlgorithm": True,
                "signatureAlgorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                "digestAlgorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                "requestedAuthnContext": c["context"],
                "requestedAuthnContextComparison": "exact",
                "failOnAuthnContextMismatch": True,
            },
        }
        if not with_idp:
            return s
        with open(c["idp_metadata"]) as f:
            idp = OneLogin_Saml2_IdPMetadataParser.parse(f.read())
        s["idp"] = idp["idp"]
        return s

    def auth(self, path, post=None):
        return OneLogin_Saml2_Auth({
            "https": "off", "http_host": "%s:%d" % (self.config["host"], self.config["port"]),
            "script_name": path, "get_data": {}, "post_data": post or {},
        }, self.settings())

    def begin(self, path):
        auth = self.auth(path)
        to = auth.login(return_to=path)
        self.sent[auth.get_last_request_id()] = path
        return to

    def consume(self, post):
        auth = self.auth("/saml/acs", post)
        # The request that is answered is the one that was sent with this path.
        ids = [i for i, path in self.sent.items() if path == post.get("RelayState")]
        for request_id in ids:
            auth.process_response(request_id=request_id)
            if not auth.get_errors():
                del self.sent[request_id]
                return self.said_by(auth), post["RelayState"]
        raise ValueError("; ".join(auth.get_errors()) + ": " + str(auth.get_last_error_reason()))

    @staticmethod
    def said_by(auth):
        said = {"name-id": auth.get_nameid(), "name-id-format": auth.get_nameid_format(),
                "session-index": auth.get_session_index(),
                "authn-context": " ".join(auth.get_last_authn_contexts())}
        for name, values in auth.get_attributes().items():
            said["attribute-" + name] = " ".join(values)
        return said


class Handler(BaseHTTPRequestHandler):
    provider = None

    def do_GET(self):
        path = self.path
        if path == "/saml/metadata":
            s = OneLogin_Saml2_Settings(self.provider.settings(with_idp=False), sp_validation_only=True)
            return self.answer(200, s.get_sp_metadata().decode() if isinstance(s.get_sp_metadata(), bytes) else s.get_sp_metadata(),
                               "application/samlmetadata+xml")
        if not path.startswith("/secret/"):
            return self.page(404, "Not found")
        said = self.provider.sessions.get(self.cookie())
        if said is None:
            return self.redirect(self.provider.begin(path))
        rows = "".join("<dt>%s</dt><dd id='%s'>%s</dd>" % (k, k, html.escape(str(v))) for k, v in said.items())
        self.page(200, "<dl>%s</dl>" % rows)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        post = {k: v[0] for k, v in parse_qs(body, keep_blank_values=True).items()}
        try:
            said, path = self.provider.consume(post)
        except Exception as e:  # whatever is wrong with it is shown
            return self.page(403, "<p id='refused'>%s</p>" % html.escape(str(e)))
        cookie = secrets.token_hex(16)
        self.provider.sessions[cookie] = said
        self.redirect(self.provider.base + path, "python-sp=%s; Path=/; HttpOnly; SameSite=Lax" % cookie)

    def cookie(self):
        c = cookies.SimpleCookie(self.headers.get("Cookie", ""))
        return c["python-sp"].value if "python-sp" in c else ""

    def redirect(self, to, cookie=None):
        self.send_response(303)
        self.send_header("Location", to)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()

    def page(self, status, body):
        self.answer(status, "<!DOCTYPE html><html lang='en'><title>Python</title><main>%s</main></html>" % body, "text/html; charset=utf-8")

    def answer(self, status, body, kind):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        Handler.provider = Provider(json.load(f))
    ThreadingHTTPServer(("127.0.0.1", Handler.provider.config["port"]), Handler).serve_forever()
