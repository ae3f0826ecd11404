<?php
// The service provider that the Host header names.

$c = json_decode(file_get_contents(getenv('SP_CONFIG')), true);
$host = explode(':', $_SERVER['HTTP_HOST'])[0];
$options = $c['providers'][$host];
$idp = file_exists($c['idp_metadata']) ? file_get_contents($c['idp_metadata']) : '';
preg_match('/entityID="([^"]*)"/', $idp, $entity);

$config = [
    'sp' => [
        'saml:SP',
        'entityID' => 'http://' . $_SERVER['HTTP_HOST'] . '/sp',
        'idp' => $entity[1] ?? null,
        'privatekey' => $options['key'],
        'certificate' => $options['cert'],
        'sign.authnrequest' => true,
        'sign.logout' => true,
        'WantAssertionsSigned' => true,
        'assertion.encryption' => $options['encrypted'],
        'validate.logout' => $options['validate_logout'] ?? false,
        'NameIDPolicy' => ['Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent', 'AllowCreate' => true],
        'AuthnContextClassRef' => $options['context'] ?? ['urn:acr.login.gov:auth-only', 'http://idmanagement.gov/ns/assurance/aal/2',
            'http://idmanagement.gov/ns/requested_attributes?ReqAttr=email'],
        'AuthnContextComparison' => 'exact',
        // Its default is HTTP-Redirect and SOAP, and Vernal posts.
        'SingleLogoutServiceBinding' => $options['logout_bindings'] ?? ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
    ],
];
