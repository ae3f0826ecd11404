// Command vernal is a SAML 2.0 identity provider whose signing certificate
// changes every spring. `vernal --help` lists what it does.
package main

import "os"

func main() { os.Exit(defaultApp(os.Stdin, os.Stdout, os.Stderr).run(os.Args[1:])) }
