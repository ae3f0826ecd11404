<?php
// SimpleSAMLphp's configuration: what router.php needs, and otherwise its defaults.

$c = json_decode(file_get_contents(getenv('SP_CONFIG')), true);

$config = [
    'baseurlpath' => 'http://' . $_SERVER['HTTP_HOST'] . '/',
    'secretsalt' => 'of no use to anybody but these tests',
    'auth.adminpassword' => bin2hex(random_bytes(16)),
    'technicalcontact_email' => 'ops@example.org',
    'tempdir' => $c['dir'] . '/simplesamlphp-temp',
    'logging.handler' => 'errorlog',
    'session.cookie.secure' => false, // http, as these tests are
    'session.cookie.samesite' => null,
    'session.phpsession.savepath' => null,
    'store.type' => 'phpsession',
    'trusted.url.domains' => null,
    'module.enable' => ['core' => true, 'saml' => true],
    'metadata.sources' => [['type' => 'xml', 'file' => $c['idp_metadata']]],
];
