// Package realsp contains tests with third-party service providers and a real browser:
// Debian's Apache with mod_auth_mellon, the Shibboleth SP with another Apache,
// SimpleSAMLphp, small applications on ruby-saml, python3-saml, pysaml2 and node-saml, and
// headless Chromium, against `vernal serve`.
//
// All tests share one installation, one set of service provider processes and one Chromium.
// Each test has its own users and browser profiles. The IdP and the service providers have
// different hosts under localhost, so that they are different sites, as in production, and
// cookies behave as they do there.
//
// The tests need the build tag realsp (`make test-sp`) and are skipped if a program is
// missing, and fail in CI. The configuration of the service providers is in testdata/realsp.
package realsp
