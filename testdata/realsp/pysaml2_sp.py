# A service provider on pysaml2, for the tests in idp/idptest/realsp.
#
#   python3 pysaml2_sp.py CONFIG.json
#
# One process is several service providers, told apart by the Host header.
# CONFIG.json: {"port": 1, "idp_metadata": "FILE",
#   "providers": {"HOST": {"key": "FILE", "cert": "FILE", "binding": "redirect" | "post",
#   "encrypted": true, "logout": "redirect" | "post" | "soap", "context": ["CLASSREF", ...]}}}
#
# /saml/metadata       its EntityDescriptor, made by pysaml2
# /secret/...          needs a sign-in; ?force or ?passive are passed on in the AuthnRequest
# /saml/acs            Assertion Consumer Service; validates and shows what is wrong
# /log-out             ends the session here and asks the identity provider to end its own
# /saml/logged-out     takes the LogoutResponse; validates and shows what is wrong

import json
import os
import secrets
import socket
import sys
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, BINDING_SOAP
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, AuthnContextClassRef
from saml2.samlp import RequestedAuthnContext
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from sp_pages import Pages

BINDINGS = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST, "soap": BINDING_SOAP}
CONTEXT = ["urn:acr.login.gov:auth-only", "http://idmanagement.gov/ns/assurance/aal/2",
           "http://idmanagement.gov/ns/requested_attributes?ReqAttr=email"]


# Every *.localhost is this machine, as it is in browsers; not every resolver knows.
look_up = socket.getaddrinfo


def loopback(host, *rest, **named):
    return look_up("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **named)


socket.getaddrinfo = loopback


class Provider:
    def __init__(self, host, port, idp_metadata, options):
        self.base = "http://%s:%d" % (host, port)
        self.options = options
        self.idp_metadata = idp_metadata
        self.sent = {}  # AuthnRequest ID -> path that was asked for
        self.sessions = {}  # cookie -> (what the assertion said, NameID)
        self.made = None

    def settings(self):
        o = self.options
        config = {
            "entityid": self.base + "/sp",
            "key_file": o["key"], "cert_file": o["cert"],
            "allow_unknown_attributes": True,  # drops them silently otherwise
            "service": {"sp": {
                "endpoints": {
                    "assertion_consumer_service": [(self.base + "/saml/acs", BINDING_HTTP_POST)],
                    "single_logout_service": [(self.base + "/saml/logged-out", BINDING_HTTP_POST)],
                },
                "authn_requests_signed": True, "logout_requests_signed": True,
                "want_assertions_signed": True, "want_response_signed": o["encrypted"],
                "name_id_policy_format": NAMEID_FORMAT_PERSISTENT,
                # Here and not at the top, where pysaml2 does not look for them.
                "signing_algorithm": SIG_RSA_SHA256, "digest_algorithm": DIGEST_SHA256,
            }},
        }
        if o["encrypted"]:
            config["encryption_keypairs"] = [{"key_file": o["key"], "cert_file": o["cert"]}]
        if os.path.exists(self.idp_metadata):
            config["metadata"] = {"local": [self.idp_metadata]}
        return config

    def metadata(self):
        return str(entity_descriptor(SPConfig().load(self.settings())))

    def client(self):
        if self.made is None:
            self.made = Saml2Client(config=SPConfig().load(self.settings()))
        return self.made

    def begin(self, path, query):
        client, binding = self.client(), BINDINGS[self.options["binding"]]
        asked = {"is_passive": "true"} if "passive" in query else {}
        if "force" in query:
            asked["force_authn"] = "true"
        context = RequestedAuthnContext(
            comparison="exact", authn_context_class_ref=[AuthnContextClassRef(text=c) for c in self.options.get("context", CONTEXT)])
        request_id, binding, info = client.prepare_for_negotiated_authenticate(
            relay_state=path, binding=binding, requested_authn_context=context,
            nameid_format=NAMEID_FORMAT_PERSISTENT, **asked)
        self.sent[request_id] = path
        return info

    def consume(self, post):
        response = self.client().parse_authn_request_response(post["SAMLResponse"], BINDING_HTTP_POST, outstanding=self.sent)
        path = self.sent.pop(response.in_response_to)
        if path != post.get("RelayState"):
            raise ValueError("RelayState %r is not %r" % (post.get("RelayState"), path))
        name_id = response.name_id
        said = {"name-id": name_id.text, "name-id-format": name_id.format,
                "session-index": response.session_info()["session_index"],
                "authn-context": " ".join(a[0] for a in response.authn_info())}
        for name, values in response.ava.items():
            said["attribute-" + name] = " ".join(values)
        return said, name_id, path

    def log_out(self, name_id):
        """What the browser is to do; None if the servers have settled it."""
        client = self.client()
        binding = BINDINGS.get(self.options.get("logout"))
        answers = client.global_logout(name_id) if binding is None else client.do_logout(
            name_id, client.users.issuers_of_info(name_id), "", None, expected_binding=binding, sign=True)
        for answer in answers.values():
            if isinstance(answer, tuple):
                return answer[1]
            if not answer.status_ok():
                raise ValueError("the logout was refused")
        client.local_logout(name_id)
        return None

    def logged_out(self, post):
        client = self.client()
        response = client.parse_logout_request_response(post["SAMLResponse"], BINDING_HTTP_POST)
        if response is None or not response.verify():
            raise ValueError("the LogoutResponse does not hold")
        client.handle_logout_response(response)


class Handler(Pages):
    name = "pysaml2"
    providers = {}

    @property
    def provider(self):
        return self.providers[self.headers["Host"].split(":")[0]]

    def do_GET(self):
        path, query = self.path, parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        try:
            if path == "/saml/metadata":
                return self.answer(200, self.provider.metadata(), "application/samlmetadata+xml")
            if path == "/log-out":
                _, name_id = self.provider.sessions.pop(self.cookie())
                info = self.provider.log_out(name_id)
                return self.away(info) if info else self.page(200, "<p id='signed-out'>Signed out</p>")
            if not path.startswith("/secret/"):
                return self.page(404, "Not found")
            said, _ = self.provider.sessions.get(self.cookie(), (None, None))
            if said is None or "force" in query:
                return self.away(self.provider.begin(path.split("?force")[0], query))
            self.show(said)
        except Exception as e:  # whatever is wrong is shown
            self.refuse(e)

    def do_POST(self):
        post = self.posted()
        try:
            if self.path == "/saml/logged-out":
                self.provider.logged_out(post)
                return self.page(200, "<p id='signed-out'>Signed out everywhere</p>")
            said, name_id, path = self.provider.consume(post)
        except Exception as e:
            return self.refuse(e)
        cookie = secrets.token_hex(16)
        self.provider.sessions[cookie] = said, name_id
        self.redirect(self.provider.base + path, cookie)

    def away(self, info):
        """Sends the browser to the identity provider, as pysaml2 has it."""
        to = dict(info["headers"]).get("Location")
        if to:
            return self.redirect(to)
        # pysaml2's own page has no button for browsers without script.
        self.answer(200, info["data"] if isinstance(info["data"], str) else "".join(info["data"]), "text/html; charset=utf-8")


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        c = json.load(f)
    for host, options in c["providers"].items():
        Handler.providers[host] = Provider(host, c["port"], c["idp_metadata"], options)
    ThreadingHTTPServer(("127.0.0.1", c["port"]), Handler).serve_forever()
