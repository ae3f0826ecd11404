// Package realsp holds tests with service providers that none of us wrote, and
// with a real browser: Debian's Apache with mod_auth_mellon, the Shibboleth SP
// with another Apache, SimpleSAMLphp, small applications on ruby-saml,
// python3-saml, pysaml2 and node-saml, and headless Chromium, against `vernal
// serve`.
//
// Its flow: one installation, one of each service provider's processes and one
// Chromium for all tests; each test has people and browser profiles of its own.
// IdP and service providers stand on different hosts under localhost, so that
// they are different sites, as in life, and cookies behave as they do there.
//
// The tests need the build tag realsp (`make test-sp`) and are skipped where a
// program is missing, but not in CI. What the service providers run is in
// testdata/realsp.
package realsp
