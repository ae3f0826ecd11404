<?php
// SimpleSAMLphp as a service provider, for the tests in idp/idptest/realsp.
//
//   SP_CONFIG=CONFIG.json SIMPLESAMLPHP_CONFIG_DIR=. php -S 127.0.0.1:PORT -t /usr/share/simplesamlphp/www router.php
//
// One process is several service providers, told apart by the Host header.
// CONFIG.json: {"dir": "FOLDER", "idp_metadata": "FILE", "providers": {"HOST": {"key": "FILE",
//   "cert": "FILE", "encrypted": true, "validate_logout": true, "logout_bindings": ["BINDING", ...],
//   "context": ["CLASSREF", ...]}}}
//
// /saml/metadata  leads to its EntityDescriptor, made by SimpleSAMLphp
// /secret/...     needs a sign-in; ?force or ?passive are passed on in the AuthnRequest
// /log-out        ends the session here and asks the identity provider to end its own
//
// Everything else is SimpleSAMLphp's own.

$base = 'http://' . $_SERVER['HTTP_HOST'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/saml/metadata') {
    header("Location: $base/module.php/saml/sp/metadata.php/sp", true, 303);
    return true;
}
if (!preg_match('{^/(secret/|log-out$|signed-out$|refused$)}', $path)) {
    return false;
}

require '/usr/share/simplesamlphp/lib/_autoload.php';

function page($status, $body)
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    echo "<!DOCTYPE html><html lang='en'><title>PHP</title><main>$body</main></html>";
    return true;
}

$sp = new \SimpleSAML\Auth\Simple('sp');
switch ($path) {
    case '/log-out':
        $sp->logout(['ReturnTo' => "$base/signed-out", 'ReturnStateParam' => 'state', 'ReturnStateStage' => 'logout']);
        return true;
    case '/signed-out': // what the identity provider said is in the state
        $state = \SimpleSAML\Auth\State::loadState($_REQUEST['state'], 'logout');
        if ($state['saml:sp:LogoutStatus']['Code'] !== 'urn:oasis:names:tc:SAML:2.0:status:Success') {
            return page(403, "<p id='refused'>" . htmlspecialchars(json_encode($state['saml:sp:LogoutStatus'])) . '</p>');
        }
        return page(200, "<p id='signed-out'>Signed out everywhere</p>");
    case '/refused':
        $state = \SimpleSAML\Auth\State::loadExceptionState();
        $error = $state[\SimpleSAML\Auth\State::EXCEPTION_DATA];
        return page(403, "<p id='refused'>" . htmlspecialchars(get_class($error) . ' ' . $error->getMessage()) . '</p>');
}

$asked = ['ErrorURL' => "$base/refused", 'KeepPost' => false];
if (isset($_GET['force'])) {
    $sp->login($asked + ['ForceAuthn' => true, 'ReturnTo' => $base . $path]);
}
if (isset($_GET['passive'])) {
    $asked['isPassive'] = true;
}
$sp->requireAuth($asked + ['ReturnTo' => $base . $_SERVER['REQUEST_URI']]);

$nameID = $sp->getAuthData('saml:sp:NameID');
$said = [
    'name-id' => $nameID->getValue(), 'name-id-format' => $nameID->getFormat(),
    'session-index' => $sp->getAuthData('saml:sp:SessionIndex'), 'authn-context' => $sp->getAuthData('saml:sp:AuthnContext'),
];
foreach ($sp->getAttributes() as $name => $values) {
    $said["attribute-$name"] = implode(' ', $values);
}
$rows = '';
foreach ($said as $id => $value) {
    $rows .= "<dt>$id</dt><dd id='$id'>" . htmlspecialchars((string) $value) . '</dd>';
}
return page(200, "<dl>$rows</dl>");
