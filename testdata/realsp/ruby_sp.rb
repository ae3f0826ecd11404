# A service provider on ruby-saml, for the tests in idp/idptest/realsp.
#
#   ruby ruby_sp.rb CONFIG.json
#
# One process is several service providers, told apart by the Host header.
# CONFIG.json: {"port": 1, "idp_metadata": "FILE", "providers": {"HOST": {
#   "key": PEM, "cert": PEM, "binding": "get" | "post", "encrypted": true,
#   "context": ["CLASSREF", ...],
#   "sample": {"sso": URL, "slo": URL, "fingerprint": SHA-1}}}}
#
# With "sample" it is set up as 18F's sample for Login.gov is, see SampleProvider.
#
# /saml/metadata       its EntityDescriptor, made by ruby-saml
# /secret/...          needs a sign-in; ?force or ?passive are passed on in the AuthnRequest
# /saml/acs            Assertion Consumer Service; validates strictly and shows what is wrong
# /sign-out            ends the session here
# /log-out             ends it here and asks the identity provider to end its own
# /saml/logged-out     takes the LogoutResponse; validates strictly and shows what is wrong
#
# The signature stands inside the XML of the AuthnRequest on both bindings, as
# it does at the service providers of Login.gov; that of the LogoutRequest too, but
# for the provider with encryption, which signs the query.

require "json"
require "securerandom"
require "webrick"
require "onelogin/ruby-saml"

class Provider
  PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".freeze
  CONTEXT = ["urn:acr.login.gov:auth-only",
             "http://idmanagement.gov/ns/assurance/aal/2",
             "http://idmanagement.gov/ns/requested_attributes?ReqAttr=email"].freeze

  def initialize(host, port, options, idp_metadata)
    @base = "http://#{host}:#{port}"
    @options = options
    @idp_metadata = idp_metadata
    @sent = {}     # AuthnRequest ID => path that was asked for
    @sessions = {} # cookie => what the assertion said
    @leaving = {}  # LogoutRequest ID => RelayState
    @mutex = Mutex.new
  end

  def serve(req, res)
    case req.path
    when "/saml/metadata"
      res.content_type = "application/samlmetadata+xml"
      res.body = OneLogin::RubySaml::Metadata.new.generate(settings)
    when "/saml/acs", "/consume" then consume(req, res)
    when "/sign-out" then sign_out(req, res)
    when "/log-out" then log_out(req, res)
    when "/saml/logged-out", "/slo_logout" then logged_out(req, res)
    when %r{\A/secret/} then secret(req, res)
    when "/" then page(res, 200, "Start", "<p><a href='/secret/start'>Sign in</a></p>")
    else page(res, 404, "Not found", "")
    end
  end

  private

  def settings(overrides = {})
    s = OneLogin::RubySaml::Settings.new({
      :sp_entity_id => "#{@base}/sp",
      :assertion_consumer_service_url => "#{@base}/saml/acs",
      :single_logout_service_url => "#{@base}/saml/logged-out",
      :single_logout_service_binding => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
      :name_identifier_format => PERSISTENT,
      :authn_context => @options["context"] || CONTEXT,
      :certificate => @options["cert"],
      :private_key => @options["key"],
      :soft => false,
      :security => {
        :authn_requests_signed => true,
        :logout_requests_signed => true,
        :logout_responses_signed => true,
        :want_assertions_signed => true,
        :want_assertions_encrypted => @options["encrypted"] || false,
        :want_name_id => true,
        :check_idp_cert_expiration => true,
        :digest_method => XMLSecurity::Document::SHA256,
        :signature_method => XMLSecurity::Document::RSA_SHA256
      }
    }.merge(overrides), true)
    return s unless File.exist?(@idp_metadata)

    s = OneLogin::RubySaml::IdpMetadataParser.new.parse(File.read(@idp_metadata), :settings => s)
    s.name_identifier_format = PERSISTENT # the parser takes it from the metadata
    # :post makes ruby-saml put the signature into the XML. What the browser
    # then does with it is up to send_get and send_post.
    s.idp_sso_service_binding = :post
    s.idp_slo_service_binding = @options["encrypted"] ? :redirect : :post
    s.compress_request = @options["binding"] == "get"
    s
  end

  def secret(req, res)
    said = session(req)
    return show(res, req, said) if said && !req.query["force"]

    overrides = {}
    overrides[:force_authn] = true if req.query["force"]
    overrides[:passive] = true if req.query["passive"]
    message = OneLogin::RubySaml::Authrequest.new
    path = req.query["force"] ? req.path : req.unparsed_uri
    @mutex.synchronize { @sent[message.request_id] = path }
    @options["binding"] == "get" ? send_get(res, message, overrides, path) : send_post(res, message, overrides, path)
  end

  def send_get(res, message, overrides, path)
    res.status = 302
    res["Location"] = message.create(settings(overrides), :RelayState => path)
  end

  def send_post(res, message, overrides, path)
    s = settings(overrides)
    post(res, s.idp_sso_service_url, message.create_params(s, :RelayState => path))
  end

  def post(res, address, params)
    fields = params.map { |name, value| "<input type='hidden' name='#{name}' value='#{escape(value)}'>" }
    page(res, 200, "To the identity provider",
         "<form id='request' method='post' action='#{escape(address)}'>#{fields.join}" \
         "<button>Continue</button></form><script>document.forms[0].submit()</script>")
  end

  def consume(req, res)
    raw = req.query["SAMLResponse"].to_s
    response = OneLogin::RubySaml::Response.new(raw, :settings => settings)
    path = @mutex.synchronize { @sent.delete(response.in_response_to) }
    raise "no such request, or answered before: #{response.in_response_to.inspect}" unless path

    response = OneLogin::RubySaml::Response.new(raw, :settings => settings, :matches_request_id => response.in_response_to)
    response.is_valid? # raises, as soft is false
    raise "RelayState #{req.query['RelayState'].inspect} is not #{path.inspect}" unless req.query["RelayState"] == relay(path)

    cookie = SecureRandom.hex(16)
    @mutex.synchronize { @sessions[cookie] = said_by(response) }
    res["Set-Cookie"] = "ruby-sp=#{cookie}; Path=/; HttpOnly; SameSite=Lax"
    res.status = 303
    res["Location"] = @base + path
  rescue OneLogin::RubySaml::ValidationError, RuntimeError => e
    page(res, 403, "Refused", "<p id='refused'>#{escape(e.message)}</p>")
  end

  # relay is the RelayState that goes with a message; nil for none.
  def relay(value)
    value
  end

  def said_by(response)
    said = { "name-id" => response.name_id,
             "name-id-format" => response.name_id_format,
             "session-index" => response.sessionindex,
             "authn-context" => class_ref(response.decrypted_document || response.document) }
    response.attributes.each { |name, values| said["attribute-#{name}"] = values.compact.join(" ") }
    said
  end

  def class_ref(document)
    found = REXML::XPath.first(document, "//a:AuthnContextClassRef", { "a" => OneLogin::RubySaml::SamlMessage::ASSERTION })
    found && found.text
  end

  def show(res, req, said)
    rows = said.merge("path" => req.unparsed_uri).map do |id, value|
      "<dt>#{id}</dt><dd id='#{id}'>#{escape(value.to_s)}</dd>"
    end
    page(res, 200, "Secret", "<dl>#{rows.join}</dl>")
  end

  def sign_out(req, res)
    @mutex.synchronize { @sessions.delete(cookie(req)) }
    page(res, 200, "Signed out", "<p id='signed-out'>Signed out</p>")
  end

  def log_out(req, res)
    said = @mutex.synchronize { @sessions.delete(cookie(req)) }
    raise "nobody is signed in" unless said

    s = settings(:name_identifier_value => said["name-id"], :sessionindex => said["session-index"])
    message = OneLogin::RubySaml::Logoutrequest.new
    value = SecureRandom.hex(8)
    @mutex.synchronize { @leaving[message.request_id] = value }
    if @options["binding"] == "get"
      res.status = 302
      res["Location"] = message.create(s, :RelayState => relay(value))
    else
      post(res, s.idp_slo_service_url, message.create_params(s, :RelayState => relay(value)))
    end
  rescue RuntimeError => e
    page(res, 403, "Refused", "<p id='refused'>#{escape(e.message)}</p>")
  end

  def logged_out(req, res)
    raw = req.query["SAMLResponse"].to_s
    id = OneLogin::RubySaml::Logoutresponse.new(raw, settings).in_response_to
    value = @mutex.synchronize { @leaving.delete(id) }
    raise "no such request, or answered before: #{id.inspect}" unless value

    OneLogin::RubySaml::Logoutresponse.new(raw, settings, :matches_request_id => id).validate # raises, as soft is false
    raise "RelayState #{req.query['RelayState'].inspect} is not #{value.inspect}" unless req.query["RelayState"] == relay(value)

    page(res, 200, "Signed out", "<p id='signed-out'>Signed out everywhere</p>")
  rescue OneLogin::RubySaml::ValidationError, RuntimeError => e
    page(res, 403, "Refused", "<p id='refused'>#{escape(e.message)}</p>")
  end

  def session(req)
    @mutex.synchronize { @sessions[cookie(req)] }
  end

  def cookie(req)
    found = req.cookies.find { |c| c.name == "ruby-sp" }
    found && found.value
  end

  def page(res, status, title, body)
    res.status = status
    res.content_type = "text/html; charset=utf-8"
    res["Cache-Control"] = "no-store"
    res.body = "<!DOCTYPE html><html lang='en'><title>#{title}</title><h1>#{title}</h1>#{body}</html>"
  end

  def escape(s)
    WEBrick::HTMLUtils.escape(s).gsub("'", "&#39;")
  end
end

# A service provider with the settings of 18F's sample for Login.gov: no metadata of
# the identity provider but its addresses and a fingerprint, a NameID format that no
# standard has, signatures within the XML on both bindings, no RelayState and no
# SessionIndex. /secret/... takes the choices of the sample's start page:
#
#   ?ial=LEVEL&aal=LEVEL&attributes=NAME,...&binding=post&force_authn=true&skip_encryption=true
class SampleProvider < Provider
  ASSURANCE = "http://idmanagement.gov/ns/assurance/".freeze
  IAL = { "0" => "ial/0", "1" => "ial/1", "2" => "ial/2", "facial-match-preferred" => "ial/2?bio=preferred" }.freeze
  AAL = { "2" => "aal/2" }.freeze

  private

  def settings(overrides = {})
    sample = @options["sample"]
    OneLogin::RubySaml::Settings.new({
      :issuer => "urn:gov:gsa:SAML:2.0.profiles:sp:sso:localhost",
      :assertion_consumer_service_url => "#{@base}/consume",
      :assertion_consumer_logout_service_url => "#{@base}/slo_logout",
      :idp_sso_target_url => sample["sso"],
      :idp_slo_target_url => sample["slo"],
      :idp_cert_fingerprint => sample["fingerprint"],
      :name_identifier_format => "urn:oasis:names:tc:SAML:1.1:nameid-format:persistent",
      :allowed_clock_drift => 60,
      :certificate => @options["cert"],
      :private_key => @options["key"],
      :soft => false,
      :security => {
        :authn_requests_signed => true,
        :logout_requests_signed => true,
        :embed_sign => true,
        :digest_method => XMLSecurity::Document::SHA256,
        :signature_method => XMLSecurity::Document::RSA_SHA256
      }
    }.merge(overrides).reject { |name, _| name == :sessionindex })
  end

  def secret(req, res)
    said = session(req)
    return show(res, req, said) if said

    message = OneLogin::RubySaml::Authrequest.new
    @mutex.synchronize { @sent[message.request_id] = req.unparsed_uri }
    context = [IAL, AAL].zip([req.query["ial"], req.query["aal"]]).map { |values, key| values[key] && ASSURANCE + values[key] }
    context << "http://idmanagement.gov/ns/requested_attributes?ReqAttr=#{req.query['attributes']}"
    s = settings(:authn_context => context.compact, :force_authn => req.query["force_authn"])
    return post(res, s.idp_sso_service_url, message.create_params(s)) if req.query["binding"] == "post"

    res.status = 302
    res["Location"] = message.create(s)
    res["Location"] += "&skip_encryption=true" if req.query["skip_encryption"]
  end

  def relay(_value)
    nil
  end
end

config = JSON.parse(File.read(ARGV.fetch(0)))
port = config.fetch("port")
providers = config.fetch("providers").map do |host, options|
  [host, (options["sample"] ? SampleProvider : Provider).new(host, port, options, config.fetch("idp_metadata"))]
end.to_h

server = WEBrick::HTTPServer.new(:BindAddress => "127.0.0.1", :Port => port)
server.mount_proc("/") do |req, res|
  provider = providers[req.host]
  provider ? provider.serve(req, res) : res.status = 404
end
%w[INT TERM].each { |signal| trap(signal) { server.shutdown } }
server.start
