# What the service providers in Python have in common, none of which is SAML: the
# way to read a form, and the pages and redirects that the tests look at.

import html
from http import cookies
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs


class Pages(BaseHTTPRequestHandler):
    name = ""  # of the library: the title of each page, and part of the cookie's

    def log_message(self, *args):
        pass

    def posted(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        return {k: v[0] for k, v in parse_qs(body, keep_blank_values=True).items()}

    def cookie(self):
        c, name = cookies.SimpleCookie(self.headers.get("Cookie", "")), self.name + "-sp"
        return c[name].value if name in c else ""

    def show(self, said):
        self.page(200, "<dl>%s</dl>" % "".join("<dt>%s</dt><dd id='%s'>%s</dd>" % (k, k, html.escape(str(v))) for k, v in said.items()))

    def refuse(self, e):
        self.page(403, "<p id='refused'>%s</p>" % html.escape("%s: %s" % (type(e).__name__, e)))

    def redirect(self, to, cookie=None):
        self.send_response(303)
        self.send_header("Location", to)
        if cookie:
            self.send_header("Set-Cookie", "%s-sp=%s; Path=/; HttpOnly; SameSite=Lax" % (self.name, cookie))
        self.end_headers()

    def page(self, status, body):
        self.answer(status, "<!DOCTYPE html><html lang='en'><title>%s</title><main>%s</main></html>" % (self.name, body), "text/html; charset=utf-8")

    def answer(self, status, body, kind):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
