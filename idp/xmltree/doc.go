// Package xmltree reads XML that strangers sent, strictly, into a small tree
// with resolved names; and it writes the XML that we author.
//
// Parse is one pass of a scanner of our own. It exists because the usual
// readers disagree about odd input, and each disagreement lets a message be
// verified as one thing and read as another (doubled attributes, processing
// instructions within text, undeclared prefixes, declared encodings, …). What
// Parse accepts is a part of XML small enough that every reader agrees on it;
// fuzz tests hold it against encoding/xml, etree and mattermost's round-trip
// validator. It takes
//
//   - UTF-8 with an optional byte order mark, and at most an XML declaration
//     of version 1.0 and encoding UTF-8;
//   - elements and attributes with ASCII names and declared prefixes, bound to
//     absolute namespace names;
//   - character data, the five predefined entities, character references, and
//     CDATA sections, which become text as canonicalization has it;
//
// and refuses everything else: document types, entities, processing
// instructions, comments (unless Limits.Comments), characters that XML 1.0
// does not allow, doubled attributes by resolved name, anything after the root.
// Line ends are read as "\n", and white space in attribute values as spaces
// (XML 1.0 §2.11, §3.3.3): the reader of the standard library leaves out the
// second, the libraries that sign requests do not.
//
// The package does not know signatures or SAML; the tree that a verified
// message is read from comes out of package xmldsig.
package xmltree
