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

import json
import secrets
import sys
from http.server import ThreadingHTTPServer

from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from sp_pages import Pages

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


class Handler(Pages):
    name = "python"
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
        self.show(said)

    def do_POST(self):
        try:
            said, path = self.provider.consume(self.posted())
        except Exception as e:  # whatever is wrong with it is shown
            return self.refuse(e)
        cookie = secrets.token_hex(16)
        self.provider.sessions[cookie] = said
        self.redirect(self.provider.base + path, cookie)


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        Handler.provider = Provider(json.load(f))
    ThreadingHTTPServer(("127.0.0.1", Handler.provider.config["port"]), Handler).serve_forever()
