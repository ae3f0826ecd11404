// Package xmltree strictly parses untrusted XML into a small tree with resolved names, and
// writes the XML that we author.
//
// Parse scans its input once with a parser of our own. Common parsers disagree about unusual
// input, and each disagreement lets a message be verified in one form and read in another
// (repeated attributes, processing instructions within text, undeclared prefixes, declared
// encodings, …). Parse accepts a subset of XML small enough that all parsers agree on it. Fuzz
// tests compare it with encoding/xml, etree and mattermost's round-trip validator. It accepts
//
//   - UTF-8 with an optional byte order mark, and at most an XML declaration
//     of version 1.0 and encoding UTF-8;
//   - elements and attributes with ASCII names and declared prefixes, bound to
//     absolute namespace names;
//   - character data, the five predefined entities, character references, and
//     CDATA sections, which become text as in canonicalization;
//
// and refuses everything else: document types, entities, processing instructions, comments
// (unless Limits.Comments), characters that XML 1.0 does not allow, repeated attributes by
// resolved name, anything after the root. Line ends are read as "\n", and white space in
// attribute values as spaces (XML 1.0 §2.11, §3.3.3). The parser of the standard library does
// not do the latter, but the libraries that sign requests do.
//
// The package contains no rules of signatures or SAML. Package xmldsig returns the tree of a
// verified message.
package xmltree
