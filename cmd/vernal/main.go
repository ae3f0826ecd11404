// Command vernal is a SAML 2.0 identity provider whose signing certificate changes every spring.
// `vernal --help` lists its commands.
package main

import "os"

func main() { os.Exit(defaultApp(os.Stdin, os.Stdout, os.Stderr).run(os.Args[1:])) }
